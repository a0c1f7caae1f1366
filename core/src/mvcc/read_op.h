// A read that may have to wait for the engine. Private to this folder.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "mvcc/store_impl.h"

namespace quorate::mvcc {

// Finds the records of `items_`: those in memory at once, the others by the tick's multi-get; many of them in
// slices, so that the loop stays free for others. Keeps itself alive while it waits; is dropped with the
// store.
class ReadOp : public std::enable_shared_from_this<ReadOp> {
 public:
  virtual ~ReadOp() = default;

 protected:
  explicit ReadOp(StoreImpl* store) : store_(*store) {}

  // Fills records_, one per item, then calls resolved(). A record that the engine does not have is an error
  // unless `absent_is_ok_`: then it stays empty.
  void resolve();
  virtual void resolved(ReadError error, std::string text) = 0;
  // Continues in a later turn of the loop.
  template <typename F>
  void later(F step) {
    store_.post([self = shared_from_this(), step = std::move(step)] { step(); });
  }
  // Memory that lives as long as the operation.
  uint8_t* allocate(size_t size);

  static constexpr size_t kSlice = 2048;  // records of one turn: about a millisecond

  StoreImpl& store_;
  ReadPins::Pin pin_;
  std::vector<FoundKey> items_;
  std::vector<Record> records_;
  bool absent_is_ok_ = false;

 private:
  void own_borrowed();
  void fetch_missing();
  void arrived(std::vector<ColdReader::Answer> answers);

  size_t at_ = 0;
  size_t borrowed_from_ = 0;  // records_[borrowed_from_, at_) point into cache or batches
  std::vector<size_t> missing_;
  std::vector<plugin::Buffer> buffers_;
  std::vector<std::unique_ptr<uint8_t[]>> chunks_;
  uint8_t* chunk_at_ = nullptr;
  size_t chunk_left_ = 0;
};

}  // namespace quorate::mvcc
