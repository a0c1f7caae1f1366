// The past, for watchers that are behind.
#include <algorithm>

#include "mvcc/store_impl.h"

namespace quorate::mvcc {

// Events of [from, kept) come from the engine, later ones from the kept batches, which hold whole revisions:
// one call answers from one of the two, and the next goes on where it ended. No view needs to be pinned with
// the batches.
class HistoryOp final : public plugin::ReadSink, public std::enable_shared_from_this<HistoryOp> {
 public:
  HistoryOp(StoreImpl* store, int64_t from, int64_t to, uint64_t max_bytes, bool with_previous,
            UniqueFunction<void(Store::History)> done)
      : store_(*store),
        next_(from),
        to_(to),
        left_(max_bytes),
        with_previous_(with_previous),
        done_(std::move(done)) {}

  void start() {
    int64_t kept = store_.writer_.kept_from();
    if (next_ < kept) {
      to_ = std::min(to_, kept - 1);
      pin_ = store_.pin_reads(next_);
      read_engine();
      return;
    }
    store_.writer_.scan(next_, [this](const WriteBatch::Kept& record) {
      return add(record.revision, record.tombstone, record.record());
    });
    finish(plugin::Status());
  }

  uint32_t entry(uint64_t, uint32_t, plugin::ByteView key, plugin::ByteView value) noexcept override {
    Revision revision;
    bool tombstone = false;
    plugin::ByteView record;
    if (!parse_record_key(key, &revision, &tombstone)) {
      damage_ =
          plugin::Status(plugin::Code::kCorruption, "a record under an unknown key after " + describe(last_));
      return 0;
    }
    if (!open_record(key, value, &record)) {
      damage_ = plugin::Status(plugin::Code::kCorruption,
                               "the record of " + describe(revision) + " fails its checksum");
      return 0;
    }
    return add(revision, tombstone, record) ? 1 : 0;
  }

 private:
  static constexpr uint32_t kMaxTries = 3;

  // False: enough. Ends only between revisions.
  bool add(Revision revision, bool tombstone, plugin::ByteView record) {
    if (revision.main > to_) return false;
    if (revision.main != last_.main) {
      if (full_) {
        to_ = last_.main;
        return false;
      }
    }
    last_ = revision;
    Event event;
    event.is_delete = tombstone;
    event.revision = revision;
    if (tombstone)
      event.record = encode({key_of(record), {}, 0, revision.main, 0, 0});
    else
      event.record = plugin::Buffer::copy_of(record);
    event.key = key_of(event.record.view());
    uint64_t size = event.record.size() + sizeof(Event);
    left_ -= std::min(left_, size);
    full_ = left_ == 0;
    events_.push_back(std::move(event));
    return true;
  }

  void read_engine() {
    store_.writer_.with_engine([self = shared_from_this(), this](EngineWriter::Handle handle) {
      handle_ = std::move(handle);
      if (handle_.get() == nullptr)
        return finish(plugin::Status(plugin::Code::kIo, "the engine is not open: " + store_.writer_.why()));
      store_.runtime_.executor->offload(
          Lane::kRead, [self, this] { status_ = scan_engine(); }, store_.guarded([self, this] {
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
    RecordKey begin(last_.main == 0 ? Revision{next_, 0} : Revision{last_.main, last_.sub + 1}, false);
    RecordKey end({to_ + 1, 0}, false);
    plugin::ScanOptions options;
    options.keyspace = kRecordsKeyspace;
    options.begin = begin.view();
    options.end = end.view();
    options.fill_cache = 0;
    return view->scan(options, this);
  }

  void finish(const plugin::Status& status) {
    Store::History out;
    out.current = store_.state_.revision;
    out.next = to_ + 1;
    if (!status.ok()) {
      out.error = status.code() == plugin::Code::kCorruption ? ReadError::kCorrupt : ReadError::kEngine;
      out.text = status.text();
      out.next = next_;
    } else {
      if (with_previous_)
        for (Event& event : events_) find_previous(event);
      out.events = std::move(events_);
    }
    pin_.release();
    done_(std::move(out));
  }

  void find_previous(Event& event) const {
    if (event.revision.main - 1 < store_.state_.compacted) return;
    const KeyEntry* entry = store_.index_.find(event.key);
    KeyVersion version;
    if (entry != nullptr && entry->before(event.revision, &version)) event.previous = version;
  }

  StoreImpl& store_;
  int64_t next_;
  int64_t to_;
  uint64_t left_;
  bool with_previous_;
  UniqueFunction<void(Store::History)> done_;
  ReadPins::Pin pin_;
  EngineWriter::Handle handle_;
  plugin::Status status_;
  plugin::Status damage_;
  uint32_t tries_ = 0;
  Revision last_;
  bool full_ = false;
  std::vector<Event> events_;
};

void StoreImpl::history(int64_t from, uint64_t max_bytes, bool with_previous,
                        UniqueFunction<void(History)> done) {
  History out;
  out.current = state_.revision;
  out.next = from;
  if (from < state_.compacted || from <= 0) {
    out.error = ReadError::kCompacted;
    return done(std::move(out));
  }
  if (from > state_.revision) return done(std::move(out));
  std::make_shared<HistoryOp>(this, from, state_.revision, max_bytes, with_previous, std::move(done))
      ->start();
}

}  // namespace quorate::mvcc
