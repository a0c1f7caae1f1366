// Physical removal of what compaction has superseded: in slices, from queues that apply fills, so that it
// costs what it drops and nothing else.
#include <algorithm>

#include "mvcc/apply.h"
#include "mvcc/store_impl.h"

namespace quorate::mvcc {

void StoreImpl::compact(Apply& apply, int64_t revision) {
  static_cast<ApplyImpl&>(apply).compact(revision);
  schedule_compaction(0);
}

void StoreImpl::schedule_compaction(uint64_t delay_ns) {
  if (compaction_timer_ != 0) return;
  uint64_t due = runtime_.executor->clock().monotonic_ns() + delay_ns;
  // Never in this turn: what an apply of this turn named must stay until its answers have been asked for.
  compaction_timer_ = runtime_.executor->at(due, guarded([this] {
                                              compaction_timer_ = 0;
                                              compaction_slice();
                                            }));
}

void StoreImpl::compaction_slice() {
  uint32_t dropped = 0;
  while (!doomed_.empty() && dropped < options_.compaction_batch) {
    writer_.batch().remove_record(doomed_.front().key);
    logical_size_ -= doomed_.front().size;
    doomed_.pop_front();
    ++dropped;
  }
  int64_t limit = std::min(state_.compacted, pins_.oldest());
  bool more = !doomed_.empty();
  while (!more && dropped < options_.compaction_batch && compact_one(limit, &dropped)) {
  }
  if (dropped != 0) writer_.end_changes();
  more = more || (!superseded_.empty() && superseded_.front().due <= state_.compacted) ||
         (!buried_.empty() && buried_.front().due <= state_.compacted);
  if (more)
    schedule_compaction(options_.compaction_pause_ns);
  else
    compaction_done();
}

// The oldest due item of the two queues. Of equal ones the superseded version first: the tombstone above it
// may take the entry away.
bool StoreImpl::compact_one(int64_t limit, uint32_t* dropped) {
  bool has_superseded = !superseded_.empty() && superseded_.front().due <= limit;
  bool has_buried = !buried_.empty() && buried_.front().due <= limit;
  if (!has_superseded && !has_buried) return false;
  bool first = has_superseded && (!has_buried || superseded_.front().due <= buried_.front().due);
  std::deque<Superseded>& queue = first ? superseded_ : buried_;
  Superseded item = queue.front();
  queue.pop_front();
  // Only as far as this item goes: later ones of the same key are still in the queues and must find it.
  index_.trim(item.entry, item.due, [&](const KeyVersion& v) {
    writer_.batch().remove_record(RecordKey(v.mod, v.tombstone));
    logical_size_ -= logical_record_size(v);
    ++*dropped;
  });
  return true;
}

void StoreImpl::compaction_done() {
  if (scrubbed_ == state_.compacted && when_scrubbed_.empty()) return;
  writer_.when_written([this, compacted = state_.compacted] {
    scrubbed_ = std::max(scrubbed_, compacted);
    std::vector<Task> ready;
    std::erase_if(when_scrubbed_, [&](auto& waiting) {
      if (waiting.first > scrubbed_) return false;
      ready.push_back(std::move(waiting.second));
      return true;
    });
    for (Task& task : ready) task();
  });
}

void StoreImpl::when_scrubbed(Task done) {
  when_scrubbed_.emplace_back(state_.compacted, std::move(done));
  schedule_compaction(0);
}

void StoreImpl::compact_engine(UniqueFunction<void(plugin::Status)> done) {
  writer_.with_engine([this, done = std::move(done)](EngineWriter::Handle handle) mutable {
    if (handle.get() == nullptr) return done(plugin::Status(plugin::Code::kIo, "the engine is not open"));
    struct Job {
      EngineWriter::Handle handle;
      UniqueFunction<void(plugin::Status)> done;
      plugin::Status status;
    };
    auto job = std::make_shared<Job>(Job{std::move(handle), std::move(done), {}});
    runtime_.executor->offload(
        Lane::kBulk,
        [job] {
          for (uint32_t keyspace = 0; keyspace < kKeyspaces && job->status.ok(); ++keyspace)
            job->status = job->handle.get()->compact(keyspace, {}, {});
        },
        guarded([this, job] {
          job->handle = EngineWriter::Handle();
          writer_.refresh_disk_size();
          job->done(job->status);
        }));
  });
}

}  // namespace quorate::mvcc
