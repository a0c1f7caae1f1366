// Assertions, on in every build: a failed one is a bug of ours and stops the process before it can spread.
#pragma once

namespace quorate {
[[noreturn]] void assertion_failed(const char* expression, const char* file, int line, const char* why);
}

#define QUORATE_ASSERT(expression, why)                                  \
  do {                                                                   \
    if (!(expression)) [[unlikely]]                                      \
      ::quorate::assertion_failed(#expression, __FILE__, __LINE__, why); \
  } while (0)
