# find_package(lory): target lory::proto, messages and stubs of the public API.
include(CMakeFindDependencyMacro)
find_dependency(Protobuf)
find_dependency(gRPC CONFIG)
include(${CMAKE_CURRENT_LIST_DIR}/lory-targets.cmake)
