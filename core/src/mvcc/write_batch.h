// A batch on its way into the engine.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "mvcc/records.h"
#include "quorate/plugin/storage.h"

namespace quorate::mvcc {

// The changes of one or more whole entries, with the bytes they refer to: kept until the engine has synced
// them, and readable meanwhile. Built on the loop; once sealed it is only read, by any thread.
class WriteBatch {
 public:
  explicit WriteBatch(uint64_t number) : number_(number) {}

  // A record of `size` bytes; the caller fills them in before the next call, then calls seal_record().
  uint8_t* add_record(Revision revision, bool tombstone, size_t size);
  void seal_record();
  void remove_record(const RecordKey& key);
  void put_meta(std::string_view engine_key, std::string_view value);
  void remove_meta(std::string_view engine_key);

  // The record in this batch; false: not here.
  bool find(Revision revision, plugin::ByteView* record) const;
  struct Kept {
    Revision revision;
    const uint8_t* data;
    uint32_t size;
    bool tombstone;
    plugin::ByteView record() const { return {data, size}; }
  };
  const std::vector<Kept>& records() const { return records_; }  // ascending

  uint64_t number() const { return number_; }
  uint64_t bytes() const { return bytes_; }  // memory, roughly
  bool empty() const { return operations_.empty(); }
  plugin::View<plugin::WriteOp> operations() const { return {operations_.data(), operations_.size()}; }

  Index last_index;  // of the entries it completes

 private:
  uint8_t* allocate(size_t size);
  plugin::ByteView copy(plugin::ByteView bytes);

  uint64_t number_;
  uint64_t bytes_ = 0;
  std::vector<plugin::WriteOp> operations_;
  std::vector<Kept> records_;
  std::vector<std::unique_ptr<uint8_t[]>> chunks_;
  uint8_t* chunk_at_ = nullptr;
  size_t chunk_left_ = 0;
};

}  // namespace quorate::mvcc
