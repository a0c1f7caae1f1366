// Memory that was freed goes back to the system, though the allocator would keep it.
#include "host/memory.h"

#include <gtest/gtest.h>
#include <malloc.h>

#include <chrono>
#include <cstring>
#include <memory>
#include <vector>

namespace quorate::host {
namespace {

constexpr uint64_t kMiB = 1u << 20;

TEST(Memory, WhatIsFreedGoesBack) {
  if (mallinfo2().uordblks == 0) GTEST_SKIP() << "a sanitizer's allocator does not count for mallinfo2()";
  AsioExecutor loop;
  MemoryReturn memory(&loop, {.interval_ns = 20'000'000});
  constexpr int kPieces = 4096;
  std::vector<std::unique_ptr<char[]>> pieces;
  for (int i = 0; i < kPieces; ++i) {
    pieces.push_back(std::make_unique<char[]>(16 << 10));
    std::memset(pieces.back().get(), 1, 16 << 10);
  }
  const auto last = std::make_unique<char[]>(16 << 10);  // above all others: the heap cannot shrink by itself
  std::memset(last.get(), 1, 16 << 10);
  const uint64_t full = anonymous_bytes();
  ASSERT_GT(full, 64 * kMiB);
  pieces.clear();
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (anonymous_bytes() > full - 50 * kMiB && std::chrono::steady_clock::now() < end) loop.turn(true);
  EXPECT_LT(anonymous_bytes(), full - 50 * kMiB);
}

}  // namespace
}  // namespace quorate::host
