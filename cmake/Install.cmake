# `cmake --install`: programs (installed where they are made), protos, docs, and
# the API as a C++ library, which others find with find_package(lory).
install(DIRECTORY proto/lory DESTINATION ${CMAKE_INSTALL_DATADIR}/lory/proto
  FILES_MATCHING PATTERN "*.proto")
install(FILES README.md LICENSE CHANGELOG.md
  DESTINATION ${CMAKE_INSTALL_DOCDIR})

set(LORY_CMAKE_FOLDER ${CMAKE_INSTALL_LIBDIR}/cmake/lory)
install(TARGETS lory_proto EXPORT lory
  ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}
  INCLUDES DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(DIRECTORY ${PROJECT_BINARY_DIR}/proto/lory/v1
  DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/lory FILES_MATCHING PATTERN "*.pb.h")
install(EXPORT lory NAMESPACE lory:: FILE lory-targets.cmake
  DESTINATION ${LORY_CMAKE_FOLDER})
include(CMakePackageConfigHelpers)
write_basic_package_version_file(${PROJECT_BINARY_DIR}/lory-config-version.cmake
  COMPATIBILITY SameMinorVersion)
install(FILES cmake/lory-config.cmake
  ${PROJECT_BINARY_DIR}/lory-config-version.cmake
  DESTINATION ${LORY_CMAKE_FOLDER})
