#include "wal/writer.h"

#include <algorithm>
#include <iterator>

#include "base/assert.h"

namespace quorate::wal {

using plugin::Code;
using plugin::Ref;

namespace {

constexpr uint64_t kEntryFixed = kRecordFixed + 16;
constexpr size_t kSparesAhead = 2;
constexpr uint64_t kClaimRetryNs = 1'000'000'000;
constexpr uint64_t kBytesKept = 1 << 20;  // of a batch's memory, for the next one

uint64_t blob_bytes(const Batch& b) {
  uint64_t n = 0;
  if (b.metadata) n += kRecordFixed + 32 + b.metadata->node_id.size() + b.metadata->config.size();
  if (b.base) n += kRecordFixed + 32 + b.base->members.size() + b.base->directory.size();
  if (b.hard_state) n += kRecordFixed + 16;
  if (b.members) n += kRecordFixed + 8 + b.members->size();
  return n;
}

}  // namespace

Writer::Writer(const Runtime& runtime, const Options& options, Ref<File> lock, Ref<File> file, Tail tail,
               std::vector<uint64_t> spares, uint64_t next_spare)
    : runtime_(runtime),
      options_(options),
      directory_(runtime.files, runtime.random, options_),
      clock_(options.clock != nullptr ? options.clock : &runtime.executor->clock()),
      lock_(std::move(lock)),
      file_(std::move(file)),
      segments_(std::move(tail.segments)),
      segment_bytes_(tail.header.segment_bytes),
      salt_(tail.header.salt),
      offset_(tail.offset),
      next_batch_(tail.next_batch),
      sealed_(tail.sealed),
      next_spare_(next_spare),
      state_(std::move(tail.state)),
      durable_(state_.terms.last()),
      durable_start_(state_.terms.start().index),
      released_(durable_start_),
      inline_gate_(options_.inline_sync_limit_ns),
      zeroed_to_(offset_) {
  for (uint64_t number : spares) spares_.push_back({number, false});
}

Position Writer::last() const { return state_.terms.last(); }

Stats Writer::stats() const {
  Stats s = stats_;
  s.recent_max_sync_ns = recent_max_.max(now());
  s.waiting_since_ns = waiting_since_;
  s.segments = segments_.size();
  s.spares = spares_.size();
  for (auto& segment : segments_) s.bytes_on_disk += segment.bytes;
  s.bytes_on_disk += spares_.size() * options_.segment_bytes;
  return s;
}

void Writer::close() {
  closed_ = true;
  queue_.clear();
}

void Writer::offload(Lane lane, Work work, UniqueFunction<void(const Status&)> done) {
  auto status = std::make_shared<Status>();
  runtime_.executor->offload(
      lane, [status, work = std::move(work)]() mutable { *status = work(); },
      [self = shared_from_this(), status, done = std::move(done)]() mutable {
        if (!self->closed_) done(*status);
      });
}

void Writer::answer(AppendDone done, Status status) {
  if (!done) return;
  runtime_.executor->post(
      [self = shared_from_this(), done = std::move(done), status = std::move(status)]() mutable {
        if (!self->closed_) done(status, Appended{self->last()});
      });
}

// ---- The queue
// -------------------------------------------------------------------------------------------------

void Writer::append(Batch batch, AppendDone done) {
  if (failed()) return answer(std::move(done), failure_);
  if (refusals_unanswered_ > 0) return refuse_unwritten(std::move(done));
  drop_released();  // may have been refused its record before
  Request request;
  request.batch = std::move(batch);
  request.done = std::move(done);
  queue_.push_back(std::move(request));
  pump();
}

void Writer::idle_mark() {
  if (!idle() || sealed_ || failed() || room() < kSector) return;
  Request request;
  request.mark = true;
  queue_.push_back(std::move(request));
  pump();
}

void Writer::fail(const Status& why) {
  std::string text = "the write-ahead log has failed: ";
  failure_ = Status(Code::kIo, text + why.text());
  if (runtime_.log != nullptr)
    runtime_.log->write(LogLevel::kError, {failure_.text(), failure_.text_size()}, {});
  for (Request& request : std::exchange(queue_, {})) answer(std::move(request.done), failure_);
}

// The front contradicts the log: only it is answered.
void Writer::refuse_front(const std::string& why) {
  answer(std::move(queue_.front().done), Status(Code::kInvalid, why));
  queue_.pop_front();
}

// There is no room for the front of the queue. Everything behind it is refused as well, and so is what comes
// until the caller knows: appends are written in their order or not at all, so that a durable one vouches for
// all before it. Our own record that makes room does not depend on them and stays, unless it is the one that
// does not fit.
void Writer::refuse_all(const std::string& why) {
  full_text_ = why;
  if (queue_.empty()) return;
  bool front = true;
  std::deque<Request> kept;
  for (Request& request : std::exchange(queue_, {})) {
    if (request.start.index.value == 0)
      refuse_unwritten(std::move(request.done));
    else if (std::exchange(front, false))
      start_queued_ = false;
    else
      kept.push_back(std::move(request));
    front = false;
  }
  queue_ = std::move(kept);
}

void Writer::refuse_unwritten(AppendDone done) {
  if (!done) return;
  ++refusals_unanswered_;
  auto counted = [this, done = std::move(done)](const Status& s, const Appended& a) mutable {
    --refusals_unanswered_;
    done(s, a);
  };
  answer(std::move(counted), Status(Code::kNoSpace, full_text_));
}

const char* Writer::blob_objection(const Batch& b) const {
  uint64_t n = 0;
  for (const std::string* s :
       {b.metadata ? &b.metadata->config : nullptr, b.metadata ? &b.metadata->node_id : nullptr,
        b.base ? &b.base->members : nullptr, b.base ? &b.base->directory : nullptr,
        b.members ? &*b.members : nullptr}) {
    if (s == nullptr) continue;
    if (s->size() > kMaxBlobBytes) return "a text of the metadata, base or members is too long";
    n += s->size();
  }
  if (n == 0) return nullptr;
  // Every segment header repeats all of them, twice, and leaves half of the segment to batches.
  LogState next = state_;
  if (b.metadata) next.metadata = *b.metadata;
  if (b.base) next.base = *b.base;
  if (b.members) next.members = *b.members;
  uint64_t limit = std::min(segment_bytes_, options_.segment_bytes) / 4;
  return segment_header_bytes(next) > limit
             ? "the metadata, base and members are too long for a segment header"
             : nullptr;
}

const char* Writer::objection(const Request& r) const {
  const Batch& b = r.batch;
  if (r.begun) return nullptr;
  if (const char* e = blob_objection(b)) return e;
  if (b.entries.empty()) return nullptr;
  Position before = state_.terms.last();
  for (size_t i = 0; i < b.entries.size(); ++i) {
    const raft::Entry& e = b.entries[i];
    if (kEntryFixed + e.data.size() + kBatchFixed >
        batch_limit(std::min(segment_bytes_, options_.segment_bytes)))
      return "an entry is too long";
    if (i > 0 && e.index != before.index + 1) return "entries that are not contiguous";
    if (i > 0 && e.term < before.term) return "an entry of a lower term than the one before it";
    before = {e.index, e.term};
  }
  Position first{b.entries[0].index, b.entries[0].term};
  if (!b.base) return state_.objection(first);
  // The base comes first: judge the entries against the log that it leaves.
  LogState after;
  after.terms = state_.terms;
  (void)after.set_base(*b.base, state_.restarts_behind(*b.base));
  return after.objection(first);
}

// How much room the next batch needs at least.
uint64_t Writer::front_bytes(const Request& r) const {
  uint64_t n = kBatchFixed;
  if (!r.begun) n += blob_bytes(r.batch);
  if (r.start.index.value != 0) n += kRecordFixed + 16;
  uint64_t limit = std::min(options_.batch_bytes, batch_limit(segment_bytes_));
  for (size_t i = r.written; i < r.batch.entries.size(); ++i) {
    uint64_t entry = kEntryFixed + r.batch.entries[i].data.size();
    bool alone = n == kBatchFixed;
    if (padded(n + entry) > (alone || i == r.written ? batch_limit(segment_bytes_) : limit)) break;
    n += entry;
  }
  return padded(n);
}

void Writer::pump() {
  while (!busy_ && !queue_.empty()) {
    if (const char* wrong = objection(queue_.front())) {
      refuse_front(std::string("write-ahead log: ") + wrong);
    } else if (prepare(queue_.front())) {
      write_batch();
    } else {
      return;
    }
  }
}

// True when the front of the queue can be written now; otherwise something is under way that ends in pump().
bool Writer::prepare(const Request& front) {
  bool full = front_bytes(front) > room();
  size_t needed = (full ? 1 : 0) + (front.own() ? 0 : 1);
  if (spares_.size() < needed) {
    make_spare();
    return false;
  }
  if (full) {
    rotate();
    return false;
  }
  // The zero-filler is writing there.
  return !(zeroing_ && offset_ + front_bytes(front) > zeroing_from_);
}

void Writer::make_spare() {
  busy_ = true;
  uint64_t number = next_spare_++;
  offload(
      Lane::kWal, [d = directory_, number, n = options_.segment_bytes] { return d.make_spare(number, n); },
      [this, number](const Status& s) {
        busy_ = false;
        // Whatever the reason (no space, inodes or descriptors left): nothing was written, and later it may
        // succeed.
        if (s.ok())
          spares_.push_back({number, false});
        else
          refuse_all(std::string("no room for another segment: ") + s.text());
        pump();
      });
}

void Writer::rotate() {
  busy_ = true;
  Spare spare = spares_.front();
  spares_.pop_front();
  auto header = std::make_shared<SegmentHeader>();
  header->sequence = segments_.back().sequence + 1;
  header->segment_bytes = options_.segment_bytes;
  header->first_batch = next_batch_;
  header->state = state_;
  auto file = std::make_shared<Ref<File>>();
  waiting_since_ = now();
  offload(
      Lane::kWal,
      [d = directory_, spare, header, file] { return d.install(spare.number, header.get(), file.get()); },
      [this, spare, header, file](const Status& s) {
        busy_ = false;
        waiting_since_ = 0;
        if (s.code() == Code::kNoSpace) {  // before anything was renamed: the spare is still one
          spares_.push_front(spare);
          refuse_all(s.text());
          return pump();
        }
        if (!s.ok()) return fail(s);
        ++stats_.rotations;
        stats_.bytes_written += header->data_start();
        file_ = std::move(*file);
        segments_.push_back({header->sequence, header->segment_bytes, Index(0)});
        segment_bytes_ = header->segment_bytes;
        salt_ = header->salt;
        offset_ = header->data_start();
        sealed_ = true;
        zeroed_to_ = spare.written ? segment_bytes_ : offset_;
        zeroing_ = false;
        maintain();
        pump();
      });
}

// ---- Batches
// ---------------------------------------------------------------------------------------------------

void Writer::write_batch() {
  auto write = std::make_shared<Write>();
  gather(write.get());
  busy_ = true;
  waiting_since_ = now();
  offset_ += padded(write->bytes.size());
  ++next_batch_;
  run_write(std::move(write));
}

// Takes from the queue what fits into one batch.
void Writer::gather(Write* write) {
  write->file = file_;
  write->header.salt = salt_;
  write->header.number = next_batch_;
  write->header.offset = offset_;
  write->bytes = std::move(idle_bytes_);
  begin_batch(&write->bytes);
  uint64_t left = room();
  if (zeroing_) left = std::min(left, zeroing_from_ - offset_);
  bool first = true;
  while (!queue_.empty()) {
    Request& front = queue_.front();
    if (!first) {
      bool stop = front.mark || (!front.own() && spares_.empty()) ||
                  write->bytes.size() + front_bytes(front) > std::min(left, options_.batch_bytes) ||
                  objection(front) != nullptr;
      if (stop) break;
    }
    first = false;
    if (!put(&front, write, left)) break;
    write->answers.push_back({std::move(front.done), {state_.terms.last()}});
    queue_.pop_front();
  }
  write->last = state_.terms.last();
  write->start = state_.terms.start();
  sealed_ = write->bytes.size() == kBatchFixed;
}

// Adds as much of the request as fits. True: all of it is in now.
bool Writer::put(Request* r, Write* write, uint64_t left) {
  RecordWriter out(&write->bytes);
  Batch& b = r->batch;
  if (!std::exchange(r->begun, true)) {
    if (b.metadata) out.metadata(*b.metadata), state_.metadata = *b.metadata;
    if (b.base) {
      bool restart = state_.restarts_behind(*b.base);
      out.base(*b.base, restart);
      const char* wrong = state_.set_base(*b.base, restart);
      QUORATE_ASSERT(wrong == nullptr, "a base that restarts when it must always fits");
    }
    if (r->start.index.value != 0) out.position(RecordType::kStart, r->start), state_.set_start(r->start);
    if (b.hard_state) out.hard_state(*b.hard_state), state_.hard_state = *b.hard_state;
    if (b.members) out.members(*b.members), state_.members = *b.members;
  }
  uint64_t most = std::min(left, batch_limit(segment_bytes_));
  uint64_t limit = std::min(most, options_.batch_bytes);
  for (; r->written < b.entries.size(); ++r->written) {
    const raft::Entry& e = b.entries[r->written];
    bool empty = write->header.first_index.value == 0;  // the first entry may exceed the usual size
    if (padded(write->bytes.size() + kEntryFixed + e.data.size()) > (empty ? most : limit)) return false;
    if (empty) write->header.first_index = e.index;
    out.entry(e);
    state_.add({e.index, e.term});
    auto& highest = segments_.back().highest_entry;
    highest = std::max(highest, e.index);
  }
  return true;
}

// The blocking part: one write, one sync.
void Writer::perform(Write* write) {
  finish_batch(&write->bytes, write->header);
  write->status = write->file->write_at(write->header.offset, {write->bytes.data(), write->bytes.size()});
  if (!write->status) return;
  uint64_t began = now();
  write->status = directory_.sync(write->file.get());
  write->sync_ns = now() - began;
}

void Writer::run_write(std::shared_ptr<Write> write) {
  auto finish = [self = shared_from_this(), write] {
    if (!self->closed_) self->finish_write(write.get());
  };
  if (inline_allowed_ && inline_gate_.open()) {
    ++stats_.inline_syncs;
    perform(write.get());
    runtime_.executor->defer(finish);
    return;
  }
  runtime_.executor->offload(
      Lane::kWal, [self = shared_from_this(), write] { self->perform(write.get()); }, finish);
}

void Writer::finish_write(Write* write) {
  busy_ = false;
  waiting_since_ = 0;
  if (!write->status.ok()) {
    fail(write->status);
    for (Answer& a : write->answers)
      if (a.done) a.done(failure_, a.appended);
    return;
  }
  ++stats_.batches;
  ++stats_.syncs;
  stats_.bytes_written += write->bytes.size();
  if (write->bytes.capacity() <= kBytesKept) idle_bytes_ = std::move(write->bytes);
  stats_.last_sync_ns = write->sync_ns;
  recent_max_.add(now(), write->sync_ns);
  inline_gate_.add(write->sync_ns);
  durable_ = write->last;
  durable_start_ = write->start.index;
  // Callbacks append: what they add waits for the next batch together with what is queued.
  busy_ = true;
  auto self = shared_from_this();
  for (Answer& a : write->answers)
    if (a.done && !closed_) a.done(Status(), a.appended);
  busy_ = false;
  if (closed_) return;
  maintain();
  pump();
}

// ---- Beside the end
// --------------------------------------------------------------------------------------------

void Writer::maintain() {
  drop_released();
  zero_ahead();
  claim_ahead();
}

void Writer::release(Index index) {
  if (index <= released_) return;
  QUORATE_ASSERT(index <= std::max(durable_.index, durable_start_),
                 "release of entries that are not durable");
  released_ = index;
  if (!failed()) drop_released();
  pump();
}

// First a record that the log begins later, then, once that is durable, the segments that it does not need.
void Writer::drop_released() {
  if (segments_.size() < 2) return;
  if (segments_.front().highest_entry <= durable_start_) {
    if (!recycling_) recycle_front();
    return;
  }
  Position start{std::min(released_, durable_.index), Term(0)};
  if (start_queued_ || segments_.front().highest_entry > start.index ||
      start.index <= state_.terms.start().index || start.index > state_.terms.last().index)
    return;
  start.term = state_.terms.term_at(start.index);
  Request request;
  request.start = start;
  start_queued_ = true;
  request.done = [this](const Status&, const Appended&) { start_queued_ = false; };
  queue_.push_back(std::move(request));
}

void Writer::recycle_front() {
  recycling_ = true;
  SegmentInfo front = segments_.front();
  bool keep = spares_.size() < kSparesAhead && front.bytes == options_.segment_bytes;
  uint64_t number = next_spare_++;
  offload(
      Lane::kBulk,
      [d = directory_, front, keep, number] {
        return keep ? d.recycle(front.sequence, number) : d.remove_segment(front.sequence);
      },
      [this, keep, number](const Status& s) {
        recycling_ = false;
        if (!s.ok()) {
          // Nothing is lost: the segment stays, and the next batch tries again. A directory that cannot be
          // synced shows at the next rotation at the latest.
          if (runtime_.log != nullptr) runtime_.log->write(LogLevel::kWarn, {s.text(), s.text_size()}, {});
          return;
        }
        segments_.pop_front();
        if (keep) spares_.push_front({number, true});
        drop_released();
        pump();
      });
}

void Writer::zero_ahead() {
  uint64_t ahead = options_.zero_ahead_bytes;
  if (ahead == 0 || zeroing_ || failed()) return;
  uint64_t from = std::max(zeroed_to_, std::min(segment_bytes_, offset_ + kZeroGap));
  uint64_t to = std::min(segment_bytes_, offset_ + ahead);
  if (to < from + std::min(ahead / 2, segment_bytes_ - from) || from >= to) return;
  zeroing_ = true;
  zeroing_from_ = from;
  uint64_t sequence = segments_.back().sequence;
  offload(
      Lane::kBulk, [d = directory_, sequence, from, to] { return d.fill(sequence, from, to); },
      [this, sequence, to](const Status& s) {
        if (sequence != segments_.back().sequence) return;
        zeroing_ = false;
        // Only speed was wanted. A file that fails here fails its own sync, too.
        zeroed_to_ = s.ok() ? to : segment_bytes_;
        pump();
      });
}

void Writer::claim_ahead() {
  if (claiming_ || failed() || spares_.size() >= kSparesAhead || offset_ < segment_bytes_ / 2 ||
      now() < claim_again_ns_)
    return;
  claiming_ = true;
  uint64_t number = next_spare_++;
  offload(
      Lane::kBulk, [d = directory_, number, n = options_.segment_bytes] { return d.make_spare(number, n); },
      [this, number](const Status& s) {
        claiming_ = false;
        if (s.ok())
          spares_.push_back({number, false});
        else
          claim_again_ns_ = now() + kClaimRetryNs;
      });
}

}  // namespace quorate::wal
