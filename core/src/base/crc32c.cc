#include "base/crc32c.h"

#include "quorate/plugin/crc32c.h"

namespace quorate {

uint32_t crc32c(const void* data, size_t size, uint32_t crc) { return plugin::crc32c(data, size, crc); }

uint32_t crc32c_portable(const void* data, size_t size, uint32_t crc) {
  return plugin::crc32c_portable(data, size, crc);
}

}  // namespace quorate
