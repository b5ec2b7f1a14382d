# `cmake --install`: programs (installed where they are made), protos and docs.
install(DIRECTORY proto/lory DESTINATION ${CMAKE_INSTALL_DATADIR}/lory/proto
  FILES_MATCHING PATTERN "*.proto")
install(FILES README.md LICENSE CHANGELOG.md
  DESTINATION ${CMAKE_INSTALL_DOCDIR})
