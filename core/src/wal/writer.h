// The live end of the log: queue, batches, segments to come and segments to go. See wal.h for the contract.
//
// One piece of disk work for the log's end is in flight at a time (`busy_`), on Lane::kWal: claiming a spare,
// making it the next segment, or writing one batch. Beside it, on Lane::kBulk and through file handles of
// their own: zero-filling in front of the writer, recycling what release() freed, claiming the next spare
// early.
//
// Spares: an append of Raft's own may use the last one; any other leaves one behind, and is refused
// (no_space) while there is none. So a full disk is noticed before it can stop an election.
#pragma once

#include <deque>

#include "base/recent_max.h"
#include "wal/inline_gate.h"
#include "wal/recovery.h"

namespace quorate::wal {

class Writer : public std::enable_shared_from_this<Writer> {
 public:
  // `tail` and `spares` (of segment_bytes each) are what is on the disk; `file` is the last segment.
  Writer(const Runtime& runtime, const Options& options, plugin::Ref<File> lock, plugin::Ref<File> file,
         Tail tail, std::vector<uint64_t> spares, uint64_t next_spare);

  void append(Batch batch, AppendDone done);
  void release(Index index);
  void idle_mark();
  void allow_inline(bool allow) { inline_allowed_ = allow; }
  void close();  // no callback runs any more

  bool idle() const { return !busy_ && queue_.empty(); }
  bool failed() const { return !failure_.ok(); }
  Position last() const;
  Position durable() const { return durable_; }
  Position start() const { return state_.terms.start(); }
  Index released() const { return released_; }
  Stats stats() const;

 private:
  struct Request {
    Batch batch;
    AppendDone done;
    Position start;      // index != 0: the record that lets older segments go
    bool mark = false;   // the empty batch of idle_mark()
    bool begun = false;  // all but the entries is in a batch already,
    size_t written = 0;  // and so many of these
    bool own() const { return !mark && batch.is_raft_own(); }
  };
  struct Answer {
    AppendDone done;
    Appended appended;
  };
  // One batch on its way to the disk.
  struct Write {
    plugin::Ref<File> file;
    std::vector<uint8_t> bytes;
    BatchHeader header;
    std::vector<Answer> answers;
    Position last;  // of the log once it is durable
    Position start;
    Status status;
    uint64_t sync_ns = 0;
  };
  struct Spare {
    uint64_t number = 0;
    bool written = false;  // a former segment: its blocks need no zero-filling
  };
  using Work = UniqueFunction<Status()>;

  // What the front of the queue needs before it can be written.
  void pump();
  bool prepare(const Request& front);
  void make_spare();
  void rotate();
  void write_batch();
  void gather(Write* write);
  bool put(Request* request, Write* write, uint64_t left);
  void run_write(std::shared_ptr<Write> write);
  void finish_write(Write* write);
  void perform(Write* write);

  const char* objection(const Request& request) const;
  const char* blob_objection(const Batch& batch) const;
  uint64_t room() const { return segment_bytes_ - offset_; }
  uint64_t front_bytes(const Request& request) const;
  void refuse_front(const std::string& why);
  void refuse_all(const std::string& why);
  void refuse_unwritten(AppendDone done);
  void fail(const Status& why);
  void answer(AppendDone done, Status status);
  // Runs `work` on the lane, then `done` with its answer on the loop unless closed meanwhile.
  void offload(Lane lane, Work work, UniqueFunction<void(const Status&)> done);

  // Beside the log's end.
  void maintain();
  void drop_released();
  void recycle_front();
  void zero_ahead();
  void claim_ahead();
  uint64_t now() const { return clock_->monotonic_ns(); }

  const Runtime runtime_;
  const Options options_;
  const SegmentDirectory directory_;
  Clock* const clock_;
  plugin::Ref<File> lock_;

  plugin::Ref<File> file_;
  std::deque<SegmentInfo> segments_;
  uint64_t segment_bytes_;
  uint64_t salt_;
  uint64_t offset_;
  uint64_t next_batch_;
  bool sealed_;
  std::deque<Spare> spares_;
  uint64_t next_spare_;

  LogState state_;  // accepted
  Position durable_;
  Index durable_start_;
  Index released_;

  std::deque<Request> queue_;
  bool busy_ = false;
  bool closed_ = false;
  bool inline_allowed_ = false;
  InlineGate inline_gate_;
  std::vector<uint8_t> idle_bytes_;  // memory of the batch before, for the next one
  Status failure_;
  uint64_t refusals_unanswered_ = 0;
  std::string full_text_;
  uint64_t waiting_since_ = 0;

  bool start_queued_ = false;
  bool recycling_ = false;
  bool zeroing_ = false;
  uint64_t zeroing_from_ = 0;  // of the segment in use, while zeroing_
  uint64_t zeroed_to_ = 0;     // of the segment in use
  bool claiming_ = false;
  uint64_t claim_again_ns_ = 0;

  Stats stats_;
  mutable RecentMax recent_max_;
};

}  // namespace quorate::wal
