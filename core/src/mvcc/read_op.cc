#include "mvcc/read_op.h"

#include <algorithm>
#include <cstring>

namespace quorate::mvcc {
namespace {
constexpr size_t kChunk = 64u << 10;
constexpr uint64_t kCacheShare = 8;  // a read of more than this part of the cache does not fill it
}  // namespace

uint8_t* ReadOp::allocate(size_t size) {
  if (size > chunk_left_) {
    chunk_left_ = std::max(size, kChunk);
    chunks_.push_back(std::make_unique_for_overwrite<uint8_t[]>(chunk_left_));
    chunk_at_ = chunks_.back().get();
  }
  uint8_t* memory = chunk_at_;
  chunk_at_ += size;
  chunk_left_ -= size;
  return memory;
}

void ReadOp::resolve() {
  RecordCache::Pin keep_views(store_.cache_);
  records_.resize(items_.size());
  size_t end = std::min(items_.size(), at_ + kSlice);
  for (; at_ < end; ++at_) {
    FoundKey& item = items_[at_];
    if (const uint8_t* data = store_.find_in_memory(item))
      records_[at_] = {data, item.version.record_size};
    else
      missing_.push_back(at_);
  }
  if (at_ < items_.size()) {
    own_borrowed();
    later([this] { resolve(); });
  } else if (!missing_.empty()) {
    own_borrowed();
    fetch_missing();
  } else {
    resolved(ReadError::kNone, {});
  }
}

void ReadOp::own_borrowed() {
  for (; borrowed_from_ < at_; ++borrowed_from_) {
    Record& record = records_[borrowed_from_];
    if (record.empty()) continue;  // missing
    uint8_t* copy = allocate(record.size);
    std::memcpy(copy, record.data, record.size);
    record.data = copy;
  }
}

void ReadOp::fetch_missing() {
  std::vector<ColdReader::Want> wants;
  wants.reserve(missing_.size());
  for (size_t i : missing_) wants.push_back({items_[i].version.mod, items_[i].version.tombstone});
  store_.cold_.read(std::move(wants),
                    [self = shared_from_this(), this](std::vector<ColdReader::Answer> answers) {
                      arrived(std::move(answers));
                    });
}

void ReadOp::arrived(std::vector<ColdReader::Answer> answers) {
  uint64_t bytes = 0;
  for (const ColdReader::Answer& answer : answers) bytes += answer.record.size();
  bool remember = bytes <= store_.cache_.budget() / kCacheShare;
  for (size_t i = 0; i < answers.size(); ++i) {
    FoundKey& item = items_[missing_[i]];
    const plugin::Status& status = answers[i].status;
    if (status.ok()) {
      if (remember) store_.remember(item, answers[i].record.view());
      records_[missing_[i]] = answers[i].record.view();
      buffers_.push_back(std::move(answers[i].record));
      continue;
    }
    bool absent = status.code() == plugin::Code::kNotFound;
    if (absent && absent_is_ok_) continue;
    if (absent)
      return resolved(ReadError::kCorrupt, "the engine has no record of " + describe(item.version.mod));
    if (status.code() == plugin::Code::kCorruption) return resolved(ReadError::kCorrupt, status.text());
    return resolved(ReadError::kEngine, status.text());
  }
  resolved(ReadError::kNone, {});
}

}  // namespace quorate::mvcc
