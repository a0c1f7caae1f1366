// Hashes over what the engine holds.
#include <algorithm>

#include "base/crc32c.h"
#include "mvcc/store_impl.h"

namespace quorate::mvcc {
namespace {
constexpr std::string_view kRecordsBucket = "key";  // etcd's name: HashKV begins with it
constexpr size_t kWalkSlice = 8192;
constexpr uint64_t kReadAhead = 1u << 20;
constexpr uint32_t kMaxTries = 5;
}  // namespace

// etcd's rule (3.7.1, server/storage/mvcc/hash.go): records up to the revision; of those up to the compacted
// one only what a compaction at the revision would keep, without tombstones. Where that is nothing at all,
// etcd leaves the filter out: then it hashes what the last compaction kept. A tombstone at exactly the
// compacted revision never counts.
class HashOp final : public plugin::ReadSink, public std::enable_shared_from_this<HashOp> {
 public:
  HashOp(StoreImpl* store, bool everything, UniqueFunction<void(const Store::Hash&)> done)
      : store_(*store), everything_(everything), done_(std::move(done)) {}

  void start(int64_t revision) {
    result_.revision = revision;
    result_.compacted = store_.state_.compacted;
    // Nothing may go that is there now: a pin at the compacted revision holds back later compactions.
    pin_ = store_.pin_reads(std::max<int64_t>(result_.compacted, 0));
    store_.writer_.flush();
    store_.writer_.when_written([self = shared_from_this(), this] {
      if (everything_)
        read_engine();
      else
        walk(result_.revision);
    });
  }

  uint32_t entry(uint64_t, uint32_t, plugin::ByteView key, plugin::ByteView value) noexcept override {
    last_key_.assign(key.chars(), key.size);
    if (everything_) {
      add(key);
      add(value);
      return 1;
    }
    Revision revision;
    bool tombstone = false;
    plugin::ByteView record;
    if (!parse_record_key(key, &revision, &tombstone) || !open_record(key, value, &record)) {
      damage_ = plugin::Status(plugin::Code::kCorruption,
                               "the record of " + describe(revision) + " fails its checksum");
      return 0;
    }
    if (counts(revision, tombstone)) {
      add(key);
      add(record);
    }
    return 1;
  }

 private:
  void add(plugin::ByteView bytes) { result_.hash = crc32c(bytes.data, bytes.size, result_.hash); }

  bool counts(Revision revision, bool tombstone) {
    if (revision.main > result_.compacted) return true;
    if (tombstone) return false;
    while (keep_at_ < keep_.size() && keep_[keep_at_] < revision) ++keep_at_;
    return keep_at_ < keep_.size() && keep_[keep_at_] == revision;
  }

  // Collects what is live at `revision` and not above the compacted one, in slices.
  void walk(int64_t revision) {
    size_t seen = 0;
    bool paused = false;
    std::string resume;
    store_.index_.scan(resume_.empty() ? api::Interval::all() : api::Interval::from(resume_),
                       [&](KeyEntry& entry) {
                         if (seen++ == kWalkSlice) {
                           paused = true;
                           resume = entry.key();
                           return false;
                         }
                         KeyVersion v;
                         if (!entry.at(revision, &v)) return true;
                         any_live_ = true;
                         if (v.mod.main <= result_.compacted) keep_.push_back(v.mod);
                         return true;
                       });
    resume_ = std::move(resume);
    if (paused) return store_.post([self = shared_from_this(), this, revision] { walk(revision); });
    if (!any_live_ && revision != result_.compacted && result_.compacted > 0) {
      any_live_ = true;
      return walk(result_.compacted);
    }
    read_engine();
  }

  void read_engine() {
    store_.writer_.with_engine([self = shared_from_this(), this](EngineWriter::Handle handle) {
      handle_ = std::move(handle);
      if (handle_.get() == nullptr)
        return finish(plugin::Status(plugin::Code::kIo, "the engine is not open: " + store_.writer_.why()));
      store_.runtime_.executor->offload(
          Lane::kBulk, [self, this] { status_ = scan_engine(); }, store_.guarded([self, this] {
            handle_ = EngineWriter::Handle();
            if (status_.code() == plugin::Code::kViewExpired && ++tries_ < kMaxTries)
              read_engine();
            else
              finish(damage_.ok() ? status_ : damage_);
          }));
    });
  }

  // On a helper thread. After an expired view it goes on behind the last record.
  plugin::Status scan_engine() {
    plugin::Ref<plugin::ReadView> view;
    plugin::Status status = handle_.get()->new_read_view(view.out());
    if (!status.ok()) return status;
    if (tries_ == 0) {
      std::sort(keep_.begin(), keep_.end());
      result_.hash = everything_ ? 0 : crc32c(kRecordsBucket.data(), kRecordsBucket.size());
    }
    uint32_t last = everything_ ? kKeyspaces : kRecordsKeyspace + 1;
    for (; keyspace_ < last && status.ok() && damage_.ok(); ++keyspace_, last_key_.clear()) {
      plugin::ScanOptions options;
      options.keyspace = keyspace_;
      std::string begin = last_key_.empty() ? std::string() : last_key_ + '\0';
      options.begin = bytes_of(begin);
      RecordKey end({result_.revision + 1, 0}, false);
      if (!everything_) options.end = end.view();
      options.read_ahead = kReadAhead;
      options.fill_cache = 0;
      status = view->scan(options, this);
      if (!status.ok()) break;
    }
    return status;
  }

  void finish(const plugin::Status& status) {
    if (!status.ok()) {
      result_.error = status.code() == plugin::Code::kCorruption ? ReadError::kCorrupt : ReadError::kEngine;
      result_.text = status.text();
    }
    result_.current_revision = store_.state_.revision;
    pin_.release();
    done_(result_);
  }

  StoreImpl& store_;
  bool everything_;
  UniqueFunction<void(const Store::Hash&)> done_;
  Store::Hash result_;
  ReadPins::Pin pin_;
  std::vector<Revision> keep_;
  size_t keep_at_ = 0;
  bool any_live_ = false;
  std::string resume_;
  std::string last_key_;
  uint32_t keyspace_ = 0;
  uint32_t tries_ = 0;
  EngineWriter::Handle handle_;
  plugin::Status status_;
  plugin::Status damage_;
};

void StoreImpl::hash_kv(int64_t revision, UniqueFunction<void(const Hash&)> done) {
  Hash refused;
  if (revision < 0) {  // as etcd answers it: the hash of no record at all
    refused.hash = crc32c(kRecordsBucket.data(), kRecordsBucket.size());
    refused.revision = revision;
    refused.compacted = state_.compacted;
    refused.current_revision = state_.revision;
    return done(refused);
  }
  refused.error = check_revision(&revision);
  if (refused.error == ReadError::kNone) {
    std::make_shared<HashOp>(this, false, std::move(done))->start(revision);
    return;
  }
  refused.revision = revision;
  refused.compacted = state_.compacted;
  refused.current_revision = state_.revision;
  done(refused);
}

void StoreImpl::hash_all(UniqueFunction<void(const Hash&)> done) {
  std::make_shared<HashOp>(this, true, std::move(done))->start(state_.revision);
}

}  // namespace quorate::mvcc
