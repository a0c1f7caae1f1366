// CRC-32C (Castagnoli), the checksum of everything that core stores or sends to peers.
#pragma once

#include <cstddef>
#include <cstdint>

namespace quorate {

// [thread-safe] Continues `crc` (0: begin) over `size` bytes: crc32c(b, nb, crc32c(a, na)) is that of a
// followed by b. Uses the processor's instruction where there is one, else a table.
uint32_t crc32c(const void* data, size_t size, uint32_t crc = 0);

// The same by table alone: for tests that compare the two.
uint32_t crc32c_portable(const void* data, size_t size, uint32_t crc = 0);

}  // namespace quorate
