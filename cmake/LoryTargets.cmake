# lory_library, lory_binary and lory_test: the only ways targets are made here.

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE RelWithDebInfo)
endif()

find_program(LORY_CCACHE ccache)
if(LORY_CCACHE)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${LORY_CCACHE})
endif()

# Flags of our own code; generated and foreign code is not held to them.
add_library(lory_flags INTERFACE)
target_include_directories(lory_flags INTERFACE ${PROJECT_SOURCE_DIR})
target_compile_options(lory_flags INTERFACE
  -Wall -Wextra -Werror -Wno-unused-parameter -Wno-missing-field-initializers
  -Wno-psabi -fstack-protector-strong
  $<$<CXX_COMPILER_ID:Clang>:-Wthread-safety>)
if(CMAKE_UNITY_BUILD)
  # Files compiled together look to gcc like headers with anonymous types.
  target_compile_options(lory_flags INTERFACE
    $<$<CXX_COMPILER_ID:GNU>:-Wno-subobject-linkage>)
endif()
target_compile_definitions(lory_flags INTERFACE
  _GLIBCXX_ASSERTIONS LORY_VERSION="${PROJECT_VERSION}")

# Sanitizers reach every target, generated code too: their run time must agree.
if(LORY_SANITIZE STREQUAL "address")
  add_compile_options(-fsanitize=address,undefined -fno-sanitize-recover=all
    -fno-omit-frame-pointer)
  add_link_options(-fsanitize=address,undefined)
elseif(LORY_SANITIZE STREQUAL "thread")
  add_compile_options(-fsanitize=thread -fno-omit-frame-pointer)
  add_link_options(-fsanitize=thread)
elseif(LORY_SANITIZE STREQUAL "fuzzer")
  add_compile_options(-fsanitize=fuzzer-no-link,address,undefined
    -fno-sanitize-recover=all -fno-omit-frame-pointer)
  add_link_options(-fsanitize=address,undefined)
elseif(NOT LORY_SANITIZE STREQUAL "")
  message(FATAL_ERROR "LORY_SANITIZE is '${LORY_SANITIZE}': use address, thread "
    "or fuzzer")
endif()
add_link_options(-Wl,--as-needed)

# Adds all sources of arg_FOLDERS but a program's main.cc to arg_SRCS.
macro(lory_add_folders)
  foreach(folder ${arg_FOLDERS})
    file(GLOB found CONFIGURE_DEPENDS RELATIVE ${CMAKE_CURRENT_SOURCE_DIR}
      ${folder}/*.cc)
    list(FILTER found EXCLUDE REGEX "/main\\.cc$")
    list(APPEND arg_SRCS ${found})
  endforeach()
endmacro()

# lory_library(name [SRCS a.cc ...] [FOLDERS x ...] DEPS lory::x ...): a static
# library, alias lory::name. Headers are found from the root of the project.
function(lory_library name)
  cmake_parse_arguments(arg "" "" "SRCS;FOLDERS;DEPS" ${ARGN})
  lory_add_folders()
  if(arg_SRCS)
    add_library(lory_${name} STATIC ${arg_SRCS})
    target_link_libraries(lory_${name} PUBLIC lory_flags ${arg_DEPS})
  else()
    add_library(lory_${name} INTERFACE)
    target_link_libraries(lory_${name} INTERFACE lory_flags ${arg_DEPS})
  endif()
  add_library(lory::${name} ALIAS lory_${name})
endfunction()

# lory_binary(name SRCS main.cc ... DEPS lory::x ...): a program, installed.
function(lory_binary name)
  cmake_parse_arguments(arg "" "" "SRCS;DEPS" ${ARGN})
  add_executable(${name} ${arg_SRCS})
  target_link_libraries(${name} PRIVATE lory_flags ${arg_DEPS})
  set_target_properties(${name} PROPERTIES
    RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/bin)
  install(TARGETS ${name} RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
endfunction()

# lory_test(name [SRCS a_test.cc ...] [FOLDERS unit/x ...] DEPS lory::x ...
#           [LABEL unit] [TIMEOUT seconds]): one GoogleTest program of these
# sources and of all in these folders, one ctest entry. Target lory_LABEL_tests
# builds all of one label, and no more.
function(lory_test name)
  cmake_parse_arguments(arg "" "LABEL;TIMEOUT" "SRCS;FOLDERS;DEPS" ${ARGN})
  lory_add_folders()
  if(NOT arg_LABEL)
    set(arg_LABEL unit)
  endif()
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 120)
  endif()
  add_executable(${name} ${arg_SRCS})
  target_link_libraries(${name} PRIVATE lory_flags ${arg_DEPS}
    GTest::gmock GTest::gtest_main)
  add_test(NAME ${name} COMMAND ${name})
  set_tests_properties(${name} PROPERTIES LABELS ${arg_LABEL}
    TIMEOUT ${arg_TIMEOUT})
  if(NOT TARGET lory_${arg_LABEL}_tests)
    add_custom_target(lory_${arg_LABEL}_tests)
  endif()
  add_dependencies(lory_${arg_LABEL}_tests ${name})
endfunction()

# lory_fuzzers(FOLDERS fuzz DEPS lory::x ...): each x_fuzz.cc in there is a
# program of libFuzzer, bin/x_fuzz; target lory_fuzzers builds them all.
function(lory_fuzzers)
  cmake_parse_arguments(arg "" "" "FOLDERS;DEPS" ${ARGN})
  lory_add_folders()
  foreach(source ${arg_SRCS})
    get_filename_component(name ${source} NAME_WE)
    add_executable(${name} ${source})
    target_link_libraries(${name} PRIVATE lory_flags ${arg_DEPS}
      -fsanitize=fuzzer)
    set_target_properties(${name} PROPERTIES
      RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/bin)
    list(APPEND names ${name})
  endforeach()
  add_custom_target(lory_fuzzers DEPENDS ${names})
endfunction()

# lory_script_test(name script argument... [LABEL lint] [TIMEOUT seconds]): a
# Python program that ends with 0, or with 77 where it cannot run. Paths are
# from the root.
function(lory_script_test name)
  cmake_parse_arguments(arg "" "LABEL;TIMEOUT" "" ${ARGN})
  if(NOT arg_LABEL)
    set(arg_LABEL lint)
  endif()
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 60)
  endif()
  add_test(NAME ${name} COMMAND python3 ${arg_UNPARSED_ARGUMENTS}
    WORKING_DIRECTORY ${PROJECT_SOURCE_DIR})
  set_tests_properties(${name} PROPERTIES LABELS ${arg_LABEL}
    TIMEOUT ${arg_TIMEOUT} SKIP_RETURN_CODE 77)
endfunction()

# lory_torch_precompiled(target...): targets whose files read tensor headers take
# them precompiled from lory_ops, 1 s instead of up to 20. Programs are then
# compiled as libraries are (-fPIC), or they could not share.
function(lory_torch_precompiled)
  foreach(target ${ARGN})
    target_compile_options(${target} PRIVATE -fPIC)
    target_precompile_headers(${target} REUSE_FROM lory_ops)
  endforeach()
endfunction()
