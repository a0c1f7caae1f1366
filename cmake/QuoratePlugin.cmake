# quorate_add_plugin(<kind>-<name> SOURCES a.cc ... [LIBRARIES lib ...])
#
# Builds lib<kind>-<name>.so with exactly one exported symbol, the descriptor, into the build tree's plugin
# folder, and installs it into <libdir>/quorate/plugins. The plugin sees the SDK and its backend, nothing else.
function(quorate_add_plugin name)
  cmake_parse_arguments(ARG "NO_INSTALL" "OUTPUT_DIRECTORY" "SOURCES;LIBRARIES" ${ARGN})
  add_library(${name} MODULE ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE quorate_sdk ${ARG_LIBRARIES})
  set(map ${PROJECT_SOURCE_DIR}/cmake/quorate_plugin.map)
  target_link_options(${name} PRIVATE -Wl,--version-script=${map})
  if(NOT QUORATE_SANITIZE)
    target_link_options(${name} PRIVATE -Wl,-z,defs)
  endif()
  if(NOT ARG_OUTPUT_DIRECTORY)
    set(ARG_OUTPUT_DIRECTORY ${QUORATE_PLUGIN_DIR})
  endif()
  set_target_properties(${name} PROPERTIES
    PREFIX lib OUTPUT_NAME ${name} LINK_DEPENDS ${map}
    LIBRARY_OUTPUT_DIRECTORY ${ARG_OUTPUT_DIRECTORY}
    CXX_VISIBILITY_PRESET hidden VISIBILITY_INLINES_HIDDEN ON)
  if(NOT ARG_NO_INSTALL)
    add_dependencies(quorate_node ${name})
    install(TARGETS ${name} LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}/quorate/plugins)
  endif()
endfunction()
