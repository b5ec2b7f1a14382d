# Every find_package of the project, with the version it was built against and
# the reason it is here. docs/decisions/0002-dependencies.md says why not others.

# Base: status, strings, time. Debian 20220623.
find_package(absl REQUIRED)
# Messages and RPC. Debian 3.21.12 and 1.51.1.
find_package(Protobuf REQUIRED)
find_package(gRPC CONFIG REQUIRED)
# TLS material, SHA-256. Debian 3.0.
find_package(OpenSSL REQUIRED)
# Threads of the standard library.
find_package(Threads REQUIRED)
# Metrics text format (core) only; pages and metrics share one CivetWeb. 1.0.1.
find_package(prometheus-cpp CONFIG REQUIRED)
# job.yaml and corpus.yaml. 0.7.0.
find_package(yaml-cpp REQUIRED)
# JSON out (nlohmann 3.11.2), command lines (CLI11 2.1.2).
find_package(nlohmann_json REQUIRED)
find_package(CLI11 REQUIRED)
# Input compression. 1.2.13 and 1.5.4.
find_package(ZLIB REQUIRED)

# Packages without a CMake file of their own.
function(lory_import name header library)
  find_path(LORY_${name}_INCLUDE ${header} REQUIRED)
  find_library(LORY_${name}_LIBRARY ${library} REQUIRED)
  add_library(lory_dep_${name} UNKNOWN IMPORTED GLOBAL)
  set_target_properties(lory_dep_${name} PROPERTIES
    IMPORTED_LOCATION ${LORY_${name}_LIBRARY}
    INTERFACE_INCLUDE_DIRECTORIES ${LORY_${name}_INCLUDE})
endfunction()
lory_import(sqlite sqlite3.h sqlite3)               # the journal; 3.40.1
lory_import(civetweb civetweb.h civetweb)           # the HTTP endpoint; 1.15
lory_import(xxhash xxhash.h xxhash)                 # fast hashes; 0.8.1
lory_import(pcre2 pcre2.h pcre2-8)                  # words of tokenizers; 10.42
# Trains tokenizers; only lory-corpus, for it has a protobuf of its own. 0.1.97.
lory_import(sentencepiece sentencepiece_processor.h sentencepiece)
lory_import(sentencepiece_train sentencepiece_trainer.h sentencepiece_train)
lory_import(zstd zstd.h zstd)                       # input compression; 1.5.4
lory_import(openblas cblas.h openblas)              # encoders; 0.3.21
lory_import(utf8proc utf8proc.h utf8proc)           # Unicode tables; 2.8.0
lory_import(simdjson simdjson.h simdjson)           # JSON in, where hot; 3.0.1
# As Debian's own CMake file says. Its classes differ with and without, and
# -pthread or -fopenmp on one file would switch it on for that file alone.
target_compile_definitions(lory_dep_simdjson INTERFACE
  SIMDJSON_THREADS_ENABLED=1)
if(LORY_BUILD_BENCHMARKS)
  # Whom corpus_bench compares with. 1.7.3, static; OpenBLAS and OpenMP, which
  # it needs, its CMake file does not say.
  find_package(OpenMP REQUIRED)
  find_package(faiss CONFIG REQUIRED)
  find_package(LAPACK REQUIRED)
  add_library(lory_dep_faiss INTERFACE)
  target_link_libraries(lory_dep_faiss INTERFACE
    faiss LAPACK::LAPACK)
endif()

if(LORY_WITH_TORCH)
  # LibTorch 2.11.0 from the wheel that tools/setup put under .deps. Own
  # imported targets, because TorchConfig demands a CUDA toolkit.
  set(LORY_TORCH_ROOT ${PROJECT_SOURCE_DIR}/.deps/torch/torch CACHE PATH
    "Folder of the torch package")
  if(NOT EXISTS ${LORY_TORCH_ROOT}/lib/libtorch_cpu.so)
    message(FATAL_ERROR "no LibTorch under ${LORY_TORCH_ROOT}: run tools/setup, "
      "or configure with -DLORY_WITH_TORCH=OFF")
  endif()
  foreach(part c10 torch_cpu)
    add_library(lory_dep_${part} SHARED IMPORTED GLOBAL)
    set_target_properties(lory_dep_${part} PROPERTIES
      IMPORTED_LOCATION ${LORY_TORCH_ROOT}/lib/lib${part}.so)
    # Searched after the system's: the wheel carries an old protobuf of its own
    # under the same names.
    target_compile_options(lory_dep_${part} INTERFACE
      "SHELL:-idirafter ${LORY_TORCH_ROOT}/include"
      "SHELL:-idirafter ${LORY_TORCH_ROOT}/include/torch/csrc/api/include")
  endforeach()
  # The wheel's libraries find their CUDA parts by RPATH at run time, the
  # linker does not: allow what stays open here.
  target_link_options(lory_dep_torch_cpu INTERFACE -Wl,--allow-shlib-undefined)
  # Installed programs look for a copy in their own prefix first
  # (docs/operations.md), then where they were built.
  set(CMAKE_INSTALL_RPATH
    "$ORIGIN/../${CMAKE_INSTALL_LIBDIR}/lory/torch/torch/lib"
    ${LORY_TORCH_ROOT}/lib)
  # at::parallel_for is a template of LibTorch's headers and a plain loop where
  # OpenMP is off. At run time the wheel's own libgomp.so.1 serves both; by name
  # here, or CMake warns that its path is another.
  target_compile_options(lory_dep_torch_cpu INTERFACE -fopenmp)
  target_link_libraries(lory_dep_torch_cpu INTERFACE gomp)
  add_library(lory_dep_torch INTERFACE)
  target_link_libraries(lory_dep_torch INTERFACE lory_dep_torch_cpu lory_dep_c10)
endif()

set(LORY_CUDA_FOUND OFF)
if(LORY_WITH_TORCH AND NOT LORY_WITH_CUDA STREQUAL "OFF")
  find_package(CUDAToolkit 13.0 QUIET)
  if(CUDAToolkit_FOUND)
    set(LORY_CUDA_FOUND ON)
  elseif(LORY_WITH_CUDA STREQUAL "ON")
    message(FATAL_ERROR "LORY_WITH_CUDA=ON, but no CUDA toolkit 13.0 was found")
  endif()
endif()

if(LORY_BUILD_TESTS)
  find_package(GTest REQUIRED)
endif()
if(LORY_BUILD_BENCHMARKS)
  find_package(benchmark REQUIRED)
endif()
