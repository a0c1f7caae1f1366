set(QUORATE_TIMEOUT_FACTOR 1 CACHE STRING "Multiplies the time limits of all test folders (./dev soak sets it)")

# quorate_add_tests(<folder> [TIMEOUT seconds] [LIBRARIES lib ...] [DEPENDS target ...] [SERIAL] [NO_PCH])
#
# One test binary per folder: every .cc of the calling folder, linked with GoogleTest and the tests' support
# library, registered as one ctest with a time limit (doubled under a sanitizer, which slows everything down).
# SERIAL: never beside another folder (it measures time or fills the machine). NO_PCH: its own flags would not
# fit the shared precompiled header.
function(quorate_add_tests folder)
  cmake_parse_arguments(ARG "SERIAL;NO_PCH" "TIMEOUT" "LIBRARIES;DEPENDS" ${ARGN})
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 300)
  endif()
  if(QUORATE_SANITIZE)
    math(EXPR ARG_TIMEOUT "${ARG_TIMEOUT} * 2")
  endif()
  math(EXPR ARG_TIMEOUT "${ARG_TIMEOUT} * ${QUORATE_TIMEOUT_FACTOR}")
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.cc)
  add_executable(test_${folder} ${sources})
  target_link_libraries(test_${folder} PRIVATE quorate_test_support ${ARG_LIBRARIES})
  if(QUORATE_PCH AND NOT ARG_NO_PCH)
    target_precompile_headers(test_${folder} REUSE_FROM quorate_test_pch)
  endif()
  target_compile_definitions(test_${folder} PRIVATE
    QUORATE_SOURCE_DIR="${PROJECT_SOURCE_DIR}" QUORATE_BINARY_DIR="${PROJECT_BINARY_DIR}")
  if(ARG_DEPENDS)
    add_dependencies(test_${folder} ${ARG_DEPENDS})
  endif()
  add_test(NAME ${folder} COMMAND ${QUORATE_TEST_LAUNCHER} $<TARGET_FILE:test_${folder}>)
  set_tests_properties(${folder} PROPERTIES
    TIMEOUT ${ARG_TIMEOUT} RUN_SERIAL "${ARG_SERIAL}" ENVIRONMENT "${QUORATE_TEST_ENVIRONMENT}")
endfunction()

# quorate_add_benchmarks(<name> [LIBRARIES lib ...])
#
# bench_<name> from every .cc of the calling folder, with Google Benchmark. `./dev bench` builds and runs it; the
# ordinary build does not.
function(quorate_add_benchmarks name)
  cmake_parse_arguments(ARG "" "" "LIBRARIES" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.cc)
  add_executable(bench_${name} EXCLUDE_FROM_ALL ${sources})
  target_link_libraries(bench_${name} PRIVATE quorate_core benchmark::benchmark_main ${ARG_LIBRARIES})
  add_dependencies(quorate_benchmarks bench_${name})
endfunction()
