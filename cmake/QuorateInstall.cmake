# What a prefix holds beside the binaries and plugins, which their own folders install. Nothing in it names the
# prefix: `cmake --install build/release --prefix DIR`, and DIR may be moved afterwards.
install(FILES ${PROJECT_SOURCE_DIR}/plugins.toml DESTINATION etc/quorate)
install(FILES ${PROJECT_SOURCE_DIR}/packaging/quorate.service DESTINATION lib/systemd/system)
install(FILES ${PROJECT_SOURCE_DIR}/README.md ${PROJECT_SOURCE_DIR}/LICENSE DESTINATION share/doc/quorate)
install(DIRECTORY ${PROJECT_SOURCE_DIR}/docs/ DESTINATION share/doc/quorate/docs FILES_MATCHING PATTERN "*.md")
# The SDK, for plugins that are built outside this tree.
install(DIRECTORY ${PROJECT_SOURCE_DIR}/core/include/quorate/plugin DESTINATION include/quorate
  FILES_MATCHING PATTERN "*.h")
install(FILES ${PROJECT_SOURCE_DIR}/cmake/quorate_plugin.map DESTINATION share/quorate)
