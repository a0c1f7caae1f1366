// The torn tail of a manifest. LevelDB and RocksDB share a log format, and refuse a manifest whose last
// record a power cut tore, although that record was never acknowledged. Here the sound part is found, so that
// the adaptor shows the engine only that.
//
// The format: blocks of 32 KiB hold records {crc32c u32, masked; length u16; type u8; payload},
// little-endian; a type is full, first, middle or last; fewer than 7 bytes at the end of a block are filler.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>

#include "quorate/plugin/crc32c.h"
#include "quorate/plugin/host.h"

namespace quorate::plugin {

class LogTail {
 public:
  // How many bytes of `file` to show. All of them when they are sound, and also when there is damage that no
  // torn write explains: a sound record more than kGroup bytes behind it. That, the engine shall see and
  // refuse.
  static Status sound_size(File* file, uint64_t* size) {
    if (Status s = file->size(size); !s.ok() || *size > kMost) return s;
    std::string bytes(*size, 0);
    uint64_t got = 0;
    if (Status s = file->read_at(0, bytes.data(), bytes.size(), &got); !s.ok()) return s;
    bytes.resize(got);
    *size = sound_size(bytes);
    return Status();
  }

  static uint64_t sound_size(const std::string& bytes) {
    uint64_t whole = 0;  // the end of the last record that is complete, fragments included
    for (uint64_t at = 0;;) {
      if (kBlock - at % kBlock < kHeader) at += kBlock - at % kBlock;
      if (at >= bytes.size()) return bytes.size();
      const Record record = parse(bytes, at);
      if (!record.sound) return sound_behind(bytes, at + kGroup) ? bytes.size() : whole;
      at += kHeader + record.length;
      if (record.type == kFull || record.type == kLast) whole = at;
    }
  }

 private:
  static constexpr uint64_t kBlock = 32768;
  static constexpr uint64_t kHeader = 7;
  // Records that are synced as one, those of all keyspaces' flushes, span less: any of their sectors may be
  // lost.
  static constexpr uint64_t kGroup = 4096;
  static constexpr uint64_t kMost = uint64_t{256} << 20;
  static constexpr uint8_t kFull = 1;
  static constexpr uint8_t kLast = 4;

  struct Record {
    bool sound = false;
    uint8_t type = 0;
    uint64_t length = 0;
  };

  static Record parse(const std::string& bytes, uint64_t at) {
    Record record;
    const uint64_t block_end = std::min<uint64_t>(bytes.size(), at - at % kBlock + kBlock);
    if (at + kHeader > block_end) return record;
    auto byte = [&](uint64_t i) { return static_cast<uint32_t>(static_cast<uint8_t>(bytes[at + i])); };
    const uint32_t masked = byte(0) | byte(1) << 8 | byte(2) << 16 | byte(3) << 24;
    record.length = byte(4) | byte(5) << 8;
    record.type = static_cast<uint8_t>(byte(6));
    if (record.type < kFull || record.type > kLast || at + kHeader + record.length > block_end) return record;
    const uint32_t rotated = masked - 0xa282ead8;
    const uint32_t crc = (rotated >> 17) | (rotated << 15);
    record.sound = crc == crc32c(bytes.data() + at + 6, 1 + record.length);
    return record;
  }

  static bool sound_behind(const std::string& bytes, uint64_t from) {
    for (uint64_t at = from; at + kHeader <= bytes.size(); ++at) {
      if (parse(bytes, at).sound) return true;
    }
    return false;
  }
};

}  // namespace quorate::plugin
