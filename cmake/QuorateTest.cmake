# quorate_add_tests(<folder> [TIMEOUT seconds] [LIBRARIES lib ...] [DEPENDS target ...])
#
# One test binary per folder: every .cc of the calling folder, linked with GoogleTest and the tests' support
# library, registered as one ctest with a time limit.
function(quorate_add_tests folder)
  cmake_parse_arguments(ARG "" "TIMEOUT" "LIBRARIES;DEPENDS" ${ARGN})
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 300)
  endif()
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.cc)
  add_executable(test_${folder} ${sources})
  target_link_libraries(test_${folder} PRIVATE quorate_test_support ${ARG_LIBRARIES})
  target_compile_definitions(test_${folder} PRIVATE
    QUORATE_SOURCE_DIR="${PROJECT_SOURCE_DIR}" QUORATE_BINARY_DIR="${PROJECT_BINARY_DIR}")
  if(ARG_DEPENDS)
    add_dependencies(test_${folder} ${ARG_DEPENDS})
  endif()
  add_test(NAME ${folder} COMMAND test_${folder})
  set_tests_properties(${folder} PROPERTIES TIMEOUT ${ARG_TIMEOUT})
endfunction()
