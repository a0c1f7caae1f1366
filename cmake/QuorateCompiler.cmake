# Language, warnings, sanitizers, compiler cache and precompiled headers: one place for every target.
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(QUORATE_SANITIZE "" CACHE STRING "Sanitizers, as given to -fsanitize= (address,undefined or thread)")
option(QUORATE_PCH "Use precompiled headers (OFF proves that every file includes what it uses)" ON)

# ccache hashes a file that uses a precompiled header only when it is told that macros and __DATE__ in the header do
# not matter, and shares results between build trees only when paths are relative. A setting from outside wins.
find_program(QUORATE_CCACHE ccache)
if(QUORATE_CCACHE)
  set(CMAKE_CXX_COMPILER_LAUNCHER
    env CCACHE_SLOPPINESS=pch_defines,time_macros CCACHE_NOHASHDIR=1 ${QUORATE_CCACHE})
endif()

# Assertions stay on in every build: NDEBUG is never defined.
foreach(config RELEASE RELWITHDEBINFO MINSIZEREL)
  string(REPLACE "-DNDEBUG" "" CMAKE_CXX_FLAGS_${config} "${CMAKE_CXX_FLAGS_${config}}")
endforeach()

add_compile_options(-Wall -Wextra -Wno-unused-parameter -Wno-missing-field-initializers -fno-omit-frame-pointer)

# A sanitizer's finding ends the process: a test that goes on after undefined behaviour proves nothing. What the
# tests run with is QUORATE_TEST_ENVIRONMENT (see QuorateTest).
set(QUORATE_TEST_ENVIRONMENT "")
set(QUORATE_TEST_LAUNCHER "")
set(QUORATE_TSAN_SUPPRESSIONS ${CMAKE_CURRENT_LIST_DIR}/tsan.supp)
if(QUORATE_SANITIZE)
  add_compile_options(-fsanitize=${QUORATE_SANITIZE} -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${QUORATE_SANITIZE})
  list(APPEND QUORATE_TEST_ENVIRONMENT
    "ASAN_OPTIONS=strict_string_checks=1:detect_stack_use_after_return=1:check_initialization_order=1:detect_leaks=1"
    "UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1"
    "TSAN_OPTIONS=halt_on_error=1:second_deadlock_stack=1:history_size=5:suppressions=${QUORATE_TSAN_SUPPRESSIONS}")
  # Kernels that randomise more address bits than gcc 12's ThreadSanitizer knows make it die at its start.
  if(QUORATE_SANITIZE MATCHES "thread")
    find_program(QUORATE_SETARCH setarch)
    if(QUORATE_SETARCH)
      set(QUORATE_TEST_LAUNCHER ${QUORATE_SETARCH} --addr-no-randomize)
    endif()
  endif()
endif()
# Coverage for libFuzzer in all of our code; the fuzzers themselves are in tests/fuzz.
option(QUORATE_FUZZ "Build what the libFuzzer programs need (clang only; preset fuzz)" OFF)
if(QUORATE_FUZZ)
  if(NOT CMAKE_CXX_COMPILER_ID MATCHES "Clang")
    message(FATAL_ERROR "QUORATE_FUZZ needs clang++, not ${CMAKE_CXX_COMPILER}")
  endif()
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()
find_package(Threads REQUIRED)

# The standard headers that nearly every file of ours includes. Measured: a core file compiles 0.65 s faster, a test,
# with GoogleTest's header as well, 1.1 s.
set(QUORATE_PCH_HEADERS
  <algorithm> <cstdint> <functional> <map> <memory> <optional> <string> <string_view> <variant> <vector>)
