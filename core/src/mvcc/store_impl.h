// How the parts of the store work together. Private to this folder; the contract is store.h.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "mvcc/cold_reader.h"
#include "mvcc/engine_writer.h"
#include "mvcc/key_index.h"
#include "mvcc/read_pins.h"
#include "mvcc/record_cache.h"
#include "mvcc/store.h"

namespace quorate::mvcc {

// A key that a read found, at the version it sees. The entry lives while the read is pinned; null: not known.
struct FoundKey {
  KeyEntry* entry = nullptr;
  KeyVersion version;
};

// How much of a Range is left to do once the index has been scanned.
struct RangePlan {
  explicit RangePlan(const RangeQuery& query);
  uint64_t scan_limit = 0;  // 0: none
  bool filtered = false;
  bool sorted = false;  // something other than key order is asked for
};
// Filters; sorts, unless by VALUE; cuts to the limit, unless sorting by VALUE is still to come. Answers
// `more`.
void apply_filters(const RangeQuery& query, std::vector<FoundKey>* found);
void sort_by_index(const RangeQuery& query, std::vector<FoundKey>* found);
bool cut_to_limit(const RangeQuery& query, size_t* size);

class ApplyImpl;
class ReadOp;
class RangeOp;
class FetchOp;
class HistoryOp;
class HashOp;

class StoreImpl final : public Store {
 public:
  StoreImpl(Runtime runtime, plugin::Engine* engine, std::string directory,
            std::vector<std::pair<std::string, std::string>> options, const StoreOptions& store_options,
            Events events);
  ~StoreImpl() override;

  plugin::Status recover(Recovered* out);  // recovery.cc

  std::span<const Event> apply(Index index, Term term, const std::function<void(Apply&)>& body) override;
  void collect_events(bool collect) override { collect_events_ = collect; }
  Index applied() const override { return state_.applied; }
  int64_t revision() const override { return state_.revision; }
  int64_t compacted() const override { return state_.compacted; }
  void view(const std::function<void(Apply&)>& body) override;
  void range(const RangeQuery& query, RangeDone done) override;
  std::optional<KeyVersion> get(std::string_view key) const override;
  void scan(const api::Interval& interval,
            const std::function<bool(std::string_view key, const KeyVersion&)>& visit) const override;
  void for_each_leased(const std::function<void(std::string_view key, int64_t lease)>& visit) const override;
  bool hot(const KeyVersion& version, Record* record) override;
  void fetch(std::vector<KeyVersion> versions, UniqueFunction<void(const Fetched&)> done) override;
  void history(int64_t from, uint64_t max_bytes, bool with_previous,
               UniqueFunction<void(History)> done) override;
  void compact(Apply& apply, int64_t revision) override;
  void when_scrubbed(Task done) override;
  void hash_kv(int64_t revision, UniqueFunction<void(const Hash&)> done) override;
  void hash_all(UniqueFunction<void(const Hash&)> done) override;
  uint64_t state_hash() const override { return state_.state_hash; }
  uint64_t disk_size() const override { return writer_.disk_size(); }
  uint64_t logical_size() const override { return logical_size_; }
  uint64_t keys() const override { return index_.live(); }
  uint64_t cache_bytes() const override { return cache_.bytes(); }
  Index synced_index() const override { return writer_.synced_index(); }
  uint64_t retained_bytes() const override { return writer_.kept_bytes(); }
  EngineState engine_state() const override { return writer_.state(); }
  void compact_engine(UniqueFunction<void(plugin::Status)> done) override;
  plugin::Status close() override;

  // For tests: what is wrong with the index, or nothing.
  std::string verify_index() const { return index_.verify(); }
  uint64_t index_bytes() const { return index_.bytes(); }

 private:
  friend class ApplyImpl;
  friend class ReadOp;
  friend class RangeOp;
  friend class FetchOp;
  friend class HistoryOp;
  friend class HashOp;
  friend class Recovery;

  // A version that compactions from `due` on drop: all of its key's versions that are due go with it.
  struct Superseded {
    int64_t due;
    KeyEntry* entry;
  };

  // Runs `task` on the loop in a later turn, unless the store is gone by then.
  template <typename F>
  void post(F task) {
    runtime_.executor->post(guarded(std::move(task)));
  }
  template <typename F>
  auto guarded(F task) {
    return [alive = std::weak_ptr<bool>(alive_), task = std::move(task)]() mutable {
      if (!alive.expired()) task();
    };
  }

  ReadPins::Pin pin_reads(int64_t revision) { return pins_.pin(revision); }
  // Null, or where the record is in memory; a found one that ages is added to the cache again.
  const uint8_t* find_in_memory(FoundKey& item);
  void remember(FoundKey& item, plugin::ByteView record);
  ReadError check_revision(int64_t* revision) const;

  // compaction.cc
  void superseded(KeyEntry* entry, int64_t due) { superseded_.push_back({due, entry}); }
  void buried(KeyEntry* entry, int64_t due) { buried_.push_back({due, entry}); }
  void schedule_compaction(uint64_t delay_ns);
  void compaction_slice();
  bool compact_one(int64_t limit, uint32_t* dropped);
  void compaction_done();

  Runtime runtime_;
  StoreOptions options_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  State state_;
  EngineWriter writer_;
  KeyIndex index_;
  RecordCache cache_;
  ColdReader cold_;
  ReadPins pins_;
  std::unique_ptr<ApplyImpl> apply_;
  std::vector<Event> events_;
  bool collect_events_ = true;
  uint64_t logical_size_ = 0;

  std::deque<Superseded> superseded_;  // due ascending
  std::deque<Superseded> buried_;      // tombstones, due ascending
  struct Doomed {
    RecordKey key;
    uint64_t size;
  };
  // Found superseded at recovery: not in the index. A key's in ascending order, and removed in it: were a
  // tombstone to go before what it buries, a crash between the two would bring the key back.
  std::deque<Doomed> doomed_;
  int64_t scrubbed_ = -1;  // up to here everything superseded is gone
  TimerId compaction_timer_ = 0;
  std::vector<std::pair<int64_t, Task>> when_scrubbed_;
};

inline uint64_t logical_record_size(const KeyVersion& v) {
  return (v.tombstone ? kTombstoneKeySize : kRevisionKeySize) + v.record_size;
}

}  // namespace quorate::mvcc
