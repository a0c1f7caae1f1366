#include "wal/wal.h"

#include <algorithm>

#include "wal/writer.h"

namespace quorate::wal {

using plugin::Code;
using plugin::Ref;

namespace {

constexpr uint64_t kPage = 4096;
constexpr uint64_t kSmallestSegment = 64 << 10;
constexpr uint64_t kLargestSegment = 1 << 30;
constexpr size_t kSparesKept = 2;

Status check(const Options& o) {
  if (o.directory.empty() || o.directory[0] != '/')
    return Status(Code::kInvalid, "write-ahead log: the directory must be an absolute path");
  if (o.segment_bytes < kSmallestSegment || o.segment_bytes > kLargestSegment || o.segment_bytes % kPage != 0)
    return Status(Code::kInvalid,
                  "write-ahead log: segment_bytes must be a multiple of 4096 in [65536, 1073741824]");
  return {};
}

std::string parent_of(const std::string& path) {
  size_t slash = path.find_last_of('/');
  return slash == 0 ? "/" : path.substr(0, slash);
}

Status sync_parent(const Runtime& runtime, const Options& o) {
  return o.sync ? runtime.files->sync_dir(parent_of(o.directory).c_str()) : Status();
}

// Keeps spares that are usable and removes the rest. What cannot be removed stays and is ignored.
std::vector<uint64_t> usable_spares(const SegmentDirectory& directory, const std::vector<uint64_t>& found,
                                    uint64_t segment_bytes) {
  std::vector<uint64_t> kept;
  for (uint64_t number : found) {
    plugin::FileStat stat;
    bool whole = directory.files()->stat(directory.spare_path(number).c_str(), &stat).ok() &&
                 stat.size == segment_bytes && stat.allocated >= segment_bytes;
    if (whole && kept.size() < kSparesKept)
      kept.push_back(number);
    else
      (void)directory.remove_spare(number);
  }
  return kept;
}

// What a killed process had written, but not synced, was read back from the page cache: it must become
// durable before anything is answered from it. And what a dropped batch left behind is erased, so that it
// never comes back.
Status settle_tail(const SegmentDirectory& directory, const Tail& tail, Ref<File>* file) {
  uint64_t sequence = tail.header.sequence;
  std::string path = directory.segment_path(sequence);
  if (Status s = directory.files()->open(path.c_str(), plugin::kOpenWrite, file->out()); !s) return s;
  if (Status s = directory.sync(file->get()); !s) return s;
  if (Status s = directory.sync_directory(); !s) return s;
  uint64_t end = std::min(tail.header.segment_bytes, tail.offset + batch_limit(tail.header.segment_bytes));
  return directory.erase(sequence, tail.offset, end);
}

}  // namespace

uint64_t max_entry_bytes(const Options& options) {
  return batch_limit(options.segment_bytes) - kBatchFixed - kRecordFixed - 16;
}

Status Wal::create(const Runtime& runtime, const Options& options, const Metadata& metadata, const Base& base,
                   const raft::HardState& hard_state, std::unique_ptr<Wal>* out) {
  if (Status s = check(options); !s) return s;
  if (Status s = runtime.files->make_dir(options.directory.c_str()); !s) return s;
  if (Status s = sync_parent(runtime, options); !s) return s;
  SegmentDirectory directory(runtime.files, runtime.random, options);
  Ref<File> lock, file;
  if (Status s = directory.lock(&lock); !s) return s;
  std::vector<uint64_t> segments, spares;
  if (Status s = directory.list(&segments, &spares); !s) return s;
  if (!segments.empty())
    return Status(Code::kInvalid, options.directory + ": there is a write-ahead log already");
  for (uint64_t number : spares) (void)directory.remove_spare(number);

  Tail tail;
  tail.state.metadata = metadata;
  tail.state.base = base;
  tail.state.members = base.members;
  tail.state.hard_state = hard_state;
  tail.state.terms.reset(base.position());
  if (segment_header_bytes(tail.state) > options.segment_bytes / 4)
    return Status(Code::kInvalid, "write-ahead log: the metadata and base are too long for a segment header");
  uint64_t next_spare = spares.empty() ? 1 : spares.back() + 1;
  for (uint64_t number : {next_spare, next_spare + 1})
    if (Status s = directory.make_spare(number, options.segment_bytes); !s) return s;
  SegmentHeader& header = tail.header;
  header.sequence = 1;
  header.segment_bytes = options.segment_bytes;
  header.first_batch = 1;
  header.state = tail.state;
  if (Status s = directory.install(next_spare, &header, &file); !s) return s;
  tail.offset = header.data_start();
  tail.sealed = true;
  tail.segments.push_back({1, options.segment_bytes, Index(0)});
  out->reset(
      new Wal(std::make_shared<Writer>(runtime, options, std::move(lock), std::move(file), std::move(tail),
                                       std::vector<uint64_t>{next_spare + 1}, next_spare + 2)));
  return {};
}

Status Wal::recover(const Runtime& runtime, const Options& options, Recovered* recovered,
                    std::unique_ptr<Wal>* out) {
  *recovered = {};
  if (Status s = check(options); !s) return s;
  SegmentDirectory directory(runtime.files, runtime.random, options);
  std::vector<uint64_t> segments, spares;
  if (Status s = directory.list(&segments, &spares); !s) return s;
  if (segments.empty()) return Status(Code::kNotFound, options.directory + ": there is no write-ahead log");
  Ref<File> lock, file;
  if (Status s = directory.lock(&lock); !s) return s;
  // Once more, now that nobody else changes it.
  segments.clear();
  spares.clear();
  if (Status s = directory.list(&segments, &spares); !s) return s;
  Tail tail;
  if (Status s = read_log(directory, segments, recovered, &tail); !s) return s;
  if (Status s = settle_tail(directory, tail, &file); !s) return s;
  uint64_t next_spare = spares.empty() ? 1 : spares.back() + 1;
  spares = usable_spares(directory, spares, options.segment_bytes);
  out->reset(new Wal(std::make_shared<Writer>(runtime, options, std::move(lock), std::move(file),
                                              std::move(tail), std::move(spares), next_spare)));
  return {};
}

Wal::Wal(std::shared_ptr<Writer> writer) : writer_(std::move(writer)) {}
Wal::~Wal() { writer_->close(); }

void Wal::append(Batch batch, AppendDone done) { writer_->append(std::move(batch), std::move(done)); }
void Wal::release(Index index) { writer_->release(index); }
void Wal::idle_mark() { writer_->idle_mark(); }
void Wal::allow_inline(bool allow) { writer_->allow_inline(allow); }
bool Wal::idle() const { return writer_->idle(); }
bool Wal::failed() const { return writer_->failed(); }
Position Wal::last() const { return writer_->last(); }
Position Wal::durable() const { return writer_->durable(); }
Position Wal::start() const { return writer_->start(); }
Index Wal::released() const { return writer_->released(); }
Stats Wal::stats() const { return writer_->stats(); }

}  // namespace quorate::wal
