#include "mvcc/engine_writer.h"

#include <algorithm>

#include "base/assert.h"

namespace quorate::mvcc {
namespace {
constexpr uint64_t kFirstRetryNs = 50'000'000;
constexpr uint64_t kLastRetryNs = 2'000'000'000;
constexpr uint64_t kSpareBytes = 1u << 20;   // a reopened engine needs room for more than the kept batches
constexpr uint64_t kWriteAtOnce = 8u << 20;  // bytes of one trip to the helper
}  // namespace

// What one trip to a helper thread brings back.
struct EngineWriter::Job {
  std::vector<const WriteBatch*> batches;
  size_t written = 0;
  plugin::Status status;
  plugin::Ref<plugin::Store> store;
  State state;
  bool fresh = false;
  uint64_t disk_size = 0;
  uint64_t space_needed = 0;
};

// Called by the engine's own threads.
class EngineWriter::EventSink final : public plugin::StorageEvents {
 public:
  EventSink(Executor* executor, EngineWriter* writer)
      : executor_(executor), writer_(writer), alive_(writer->alive_) {}
  void on_durable(plugin::Mark mark) noexcept override {
    executor_->post([writer = writer_, alive = alive_, mark] {
      if (!alive.expired()) writer->on_durable(mark);
    });
  }
  void on_background_error(const plugin::Status& status) noexcept override {
    executor_->post([writer = writer_, alive = alive_, status] {
      if (!alive.expired()) writer->fail(status);
    });
  }
  void on_pressure(uint32_t) noexcept override {}  // writes that stall show in kept_bytes()

 private:
  Executor* executor_;
  EngineWriter* writer_;
  std::weak_ptr<bool> alive_;
};

EngineWriter::EngineWriter(Runtime runtime, plugin::Engine* engine, std::string directory,
                           std::vector<std::pair<std::string, std::string>> options,
                           const StoreOptions& store_options, Store::Events events)
    : runtime_(runtime),
      engine_(plugin::Ref<plugin::Engine>::share(engine)),
      directory_(std::move(directory)),
      options_(std::move(options)),
      limits_(store_options),
      events_(std::move(events)),
      sink_(std::make_unique<EventSink>(runtime.executor, this)),
      retry_delay_ns_(kFirstRetryNs) {}

EngineWriter::~EngineWriter() {
  for (TimerId timer : {seal_timer_, sync_timer_, retry_timer_}) runtime_.executor->cancel(timer);
  alive_.reset();
  if (store_ && !closed_) (void)store_->close();
}

plugin::Status EngineWriter::open_engine(plugin::Ref<plugin::Store>* store) {
  std::vector<plugin::Option> options;
  for (const auto& [name, value] : options_) options.push_back({bytes_of(name), bytes_of(value)});
  plugin::OpenInfo info;
  info.directory = directory_.c_str();
  info.keyspaces = kKeyspaces;
  info.options = {options.data(), options.size()};
  plugin::Store* out = nullptr;
  plugin::Status status = engine_->open(info, sink_.get(), &out);
  if (status.ok()) *store = plugin::Ref<plugin::Store>::adopt(out);
  return status;
}

namespace {
class StateSink final : public plugin::ReadSink {
 public:
  uint32_t entry(uint64_t, uint32_t found, plugin::ByteView, plugin::ByteView value) noexcept override {
    if (found != 0) bytes.assign(value.chars(), value.size);
    return 1;
  }
  std::string bytes;
};
class AnySink final : public plugin::ReadSink {
 public:
  uint32_t entry(uint64_t, uint32_t, plugin::ByteView, plugin::ByteView) noexcept override {
    any = true;
    return 0;
  }
  bool any = false;
};
}  // namespace

plugin::Status EngineWriter::read_state(plugin::Store* store, State* state, bool* fresh) {
  plugin::Ref<plugin::ReadView> view;
  plugin::Status status = store->new_read_view(view.out());
  if (!status.ok()) return status;
  StateSink sink;
  status = view->get(kMetaKeyspace, bytes_of(kStateKey), &sink);
  if (status.ok()) {
    *fresh = false;
    return State::decode(bytes_of(sink.bytes), state);
  }
  if (status.code() != plugin::Code::kNotFound) return status;
  *state = State();
  *fresh = true;
  for (uint32_t keyspace = 0; keyspace < kKeyspaces; ++keyspace) {
    AnySink any;
    plugin::ScanOptions options;
    options.keyspace = keyspace;
    status = view->scan(options, &any);
    if (!status.ok()) return status;
    if (any.any)
      return plugin::Status(plugin::Code::kCorruption, "the engine holds records, but no state record");
  }
  return {};
}

plugin::Status EngineWriter::open(State* state, bool* fresh) {
  plugin::Status status = open_engine(&store_);
  if (!status.ok()) return status;
  status = read_state(store_.get(), state, fresh);
  if (!status.ok()) return status;
  entry_state_ = *state;
  sealed_index_ = written_index_ = syncing_index_ = state->applied;
  written_number_ = synced_number_ = state->batch;
  filling_ = std::make_unique<WriteBatch>(state->batch + 1);
  disk_size_ = store_->approximate_size();
  if (!limits_.is_volatile) synced_index_ = state->applied;  // what an engine opens with survives a power cut
  return {};
}

// ---- Filling
// --------------------------------------------------------------------------------------------------

void EngineWriter::end_entry(const State& state) {
  entry_state_ = state;
  changed();
}

void EngineWriter::end_changes() { changed(); }

void EngineWriter::changed() {
  dirty_ = true;
  if (filling_->bytes() >= limits_.write_bytes || due(sealed_index_, entry_state_.applied)) {
    seal();
    start_write();
  } else if (seal_timer_ == 0) {
    uint64_t due = runtime_.executor->clock().monotonic_ns() + limits_.write_interval_ns;
    seal_timer_ = runtime_.executor->at(due, guarded([this] {
                                          seal_timer_ = 0;
                                          seal();
                                          start_write();
                                        }));
  }
}

void EngineWriter::seal() {
  if (!dirty_) return;
  dirty_ = false;
  runtime_.executor->cancel(std::exchange(seal_timer_, 0));
  State state = entry_state_;
  state.batch = filling_->number();
  char bytes[State::kEncodedSize];
  state.encode(reinterpret_cast<uint8_t*>(bytes));
  filling_->put_meta(kStateKey, {bytes, sizeof bytes});
  filling_->last_index = sealed_index_ = entry_state_.applied;
  kept_bytes_ += filling_->bytes();
  Revision newest = kept_.empty() ? Revision() : kept_.back().newest;
  if (!filling_->records().empty()) newest = filling_->records().back().revision;
  kept_.push_back({std::move(filling_), Phase::kSealed, newest});
  filling_ = std::make_unique<WriteBatch>(state.batch + 1);
}

void EngineWriter::flush() {
  seal();
  start_write();
}

// ---- Writing
// --------------------------------------------------------------------------------------------------

void EngineWriter::start_write() {
  if (writing_ || poisoned_ || reopening_ || state_ == EngineState::kFailed || closed_) return;
  auto job = std::make_shared<Job>();
  uint64_t bytes = 0;
  for (Slot& slot : kept_) {
    if (slot.phase != Phase::kSealed) continue;
    if (bytes > kWriteAtOnce) break;
    slot.phase = Phase::kWriting;
    job->batches.push_back(slot.batch.get());
    bytes += slot.batch->bytes();
  }
  if (job->batches.empty()) return;
  writing_ = true;
  job->store = store_;
  runtime_.executor->offload(
      Lane::kEngine,
      [job] {
        for (const WriteBatch* batch : job->batches) {
          job->status = job->store->write(batch->operations(), batch->number());
          if (!job->status.ok()) return;
          ++job->written;
        }
      },
      guarded([this, job] { on_written(*job); }));
}

void EngineWriter::on_written(Job& job) {
  writing_ = false;
  size_t done = 0;
  for (Slot& slot : kept_) {
    if (slot.phase != Phase::kWriting) continue;
    bool written = done++ < job.written;
    slot.phase = written ? Phase::kWritten : Phase::kSealed;
    if (!written) continue;
    written_number_ = slot.batch->number();
    written_index_ = slot.batch->last_index;
    unsynced_bytes_ += slot.batch->bytes();
  }
  if (!job.status.ok()) {
    fail(job.status);
  } else {
    retry_delay_ns_ = kFirstRetryNs;
    if (state_ != EngineState::kHealthy && !poisoned_) set_state(EngineState::kHealthy, "");
  }
  if (limits_.is_volatile)
    on_durable(written_number_);
  else
    arm_sync();
  notify_written();
  start_write();
}

void EngineWriter::notify_written() {
  while (!when_written_.empty() && when_written_.front().first <= written_number_) {
    Task task = std::move(when_written_.front().second);
    when_written_.pop_front();
    task();
  }
}

void EngineWriter::when_written(Task done) {
  uint64_t number = dirty_ ? filling_->number() : filling_->number() - 1;
  when_written_.emplace_back(number, std::move(done));
  if (number <= written_number_) runtime_.executor->post(guarded([this] { notify_written(); }));
}

// ---- Syncing
// --------------------------------------------------------------------------------------------------

void EngineWriter::arm_sync() {
  if (written_number_ <= synced_number_ || syncing_ || poisoned_ || reopening_) return;
  if (unsynced_bytes_ >= limits_.sync_bytes || due(syncing_index_, written_index_)) {
    start_sync();
  } else if (sync_timer_ == 0) {
    uint64_t due = runtime_.executor->clock().monotonic_ns() + limits_.sync_interval_ns;
    sync_timer_ = runtime_.executor->at(due, guarded([this] {
                                          sync_timer_ = 0;
                                          start_sync();
                                        }));
  }
}

void EngineWriter::start_sync() {
  if (syncing_ || poisoned_ || reopening_ || closed_ || state_ == EngineState::kFailed) return;
  runtime_.executor->cancel(std::exchange(sync_timer_, 0));
  syncing_ = true;
  unsynced_bytes_ = 0;
  syncing_index_ = written_index_;
  auto job = std::make_shared<Job>();
  job->store = store_;
  runtime_.executor->offload(
      Lane::kEngineSync,
      [job, number = written_number_] {
        job->status = job->store->sync(number);
        job->disk_size = job->store->approximate_size();
      },
      guarded([this, job, number = written_number_] {
        syncing_ = false;
        disk_size_ = job->disk_size;
        // A sync on a handle that was found bad meanwhile proves nothing: what it has is learnt by reopening.
        if (job->status.ok() && !poisoned_)
          on_durable(number);
        else if (!job->status.ok())
          fail(job->status);
        arm_sync();
      }));
}

void EngineWriter::on_durable(uint64_t number) {
  number = std::min(number, written_number_);
  if (number <= synced_number_) return;
  synced_number_ = number;
  size_t count = 0;
  while (count < kept_.size() && kept_[count].batch->number() <= number) ++count;
  release(count);
}

void EngineWriter::release(size_t count) {
  if (count == 0) return;
  Index index = kept_[count - 1].batch->last_index;
  for (; count > 0; --count) {
    kept_bytes_ -= kept_.front().batch->bytes();
    kept_.pop_front();
  }
  if (limits_.is_volatile || index <= synced_index_) return;
  synced_index_ = index;
  if (events_.on_synced) events_.on_synced(index);
}

void EngineWriter::refresh_disk_size() {
  with_engine([this](Handle handle) {
    if (handle.get() == nullptr) return;
    auto job = std::make_shared<std::pair<Handle, uint64_t>>(std::move(handle), 0);
    runtime_.executor->offload(
        Lane::kBulk, [job] { job->second = job->first.get()->approximate_size(); }, guarded([this, job] {
          disk_size_ = job->second;
          job->first = Handle();
        }));
  });
}

// ---- Failure
// --------------------------------------------------------------------------------------------------

void EngineWriter::set_state(EngineState state, std::string why) {
  why_ = std::move(why);
  if (std::exchange(state_, state) == state) return;
  if (events_.on_engine) events_.on_engine(state_, why_);
}

void EngineWriter::fail(const plugin::Status& status) {
  if (state_ == EngineState::kFailed || closed_) return;
  if (status.code() != plugin::Code::kRetryable) {
    poisoned_ = true;
    set_state(status.code() == plugin::Code::kNoSpace ? EngineState::kNoSpace : EngineState::kRecovering,
              std::string(plugin::code_name(status.code())) + ": " + status.text());
  }
  retry_later();
}

void EngineWriter::retry_later() {
  if (retry_timer_ != 0) return;
  uint64_t due = runtime_.executor->clock().monotonic_ns() + retry_delay_ns_;
  retry_delay_ns_ = std::min(retry_delay_ns_ * 2, kLastRetryNs);
  retry_timer_ = runtime_.executor->at(due, guarded([this] {
                                         retry_timer_ = 0;
                                         if (poisoned_)
                                           try_reopen();
                                         else
                                           start_write();
                                         arm_sync();
                                       }));
}

void EngineWriter::try_reopen() {
  if (reopening_ || closed_) return;
  reopening_ = true;  // new readers wait from here on; those that are out delay it
  if (writing_ || syncing_ || handles_ != 0) {
    reopening_ = false;
    retry_later();
    return;
  }
  auto job = std::make_shared<Job>();
  job->store = std::move(store_);
  job->space_needed = state_ == EngineState::kNoSpace ? kept_bytes() + kSpareBytes : 0;
  runtime_.executor->offload(
      Lane::kEngine,
      [this, job] {
        // A full disk fails the reopening of most engines, and with it every cold read: look before closing.
        uint64_t free = 0;
        if (job->store && job->space_needed != 0 && runtime_.files != nullptr &&
            runtime_.files->free_space(directory_.c_str(), &free).ok() && free < job->space_needed) {
          job->status =
              plugin::Status(plugin::Code::kNoSpace, "waiting for " + std::to_string(job->space_needed) +
                                                         " bytes of space in " + directory_);
          return;
        }
        if (job->store) (void)job->store->close();
        job->store.reset();
        job->status = open_engine(&job->store);
        if (job->status.ok()) job->status = read_state(job->store.get(), &job->state, &job->fresh);
        if (job->status.ok()) {
          job->written = 1;
        } else if (job->store) {
          (void)job->store->close();
          job->store.reset();
        }
      },
      guarded([this, job] { on_reopened(*job); }));
}

void EngineWriter::on_reopened(Job& job) {
  reopening_ = false;
  store_ = std::move(job.store);
  if (job.written == 0) {
    fail(job.status);
  } else {
    uint64_t oldest = kept_.empty() ? filling_->number() : kept_.front().batch->number();
    uint64_t newest = filling_->number() - 1;
    poisoned_ = false;
    if (job.state.batch + 1 < oldest || job.state.batch > newest) {
      set_state(EngineState::kFailed, "the engine in " + directory_ + " was reopened at entry " +
                                          std::to_string(job.state.applied.value) + " (batch " +
                                          std::to_string(job.state.batch) + "), but batches are kept from " +
                                          std::to_string(oldest) +
                                          " on: its state must be rebuilt from the log");
    } else {
      for (Slot& slot : kept_)
        slot.phase = slot.batch->number() <= job.state.batch ? Phase::kWritten : Phase::kSealed;
      written_number_ = job.state.batch;
      written_index_ = job.state.applied;
      if (written_number_ + 1 == filling_->number()) set_state(EngineState::kHealthy, "");
      notify_written();
      start_write();
      arm_sync();
    }
  }
  std::vector<UniqueFunction<void(Handle)>> waiting = std::move(waiting_);
  waiting_.clear();
  for (auto& use : waiting) with_engine(std::move(use));
}

// ---- Reading
// --------------------------------------------------------------------------------------------------

EngineWriter::Handle::~Handle() {
  if (writer_ != nullptr && !alive_.expired()) --writer_->handles_;
}

void EngineWriter::with_engine(UniqueFunction<void(Handle)> use) {
  if (reopening_) {
    waiting_.push_back(std::move(use));
    return;
  }
  Handle handle;
  if (store_ && !closed_) {
    handle.writer_ = this;
    handle.alive_ = alive_;
    handle.store_ = store_;
    ++handles_;
  }
  use(std::move(handle));
}

bool EngineWriter::find(Revision revision, plugin::ByteView* record) const {
  if (filling_->find(revision, record)) return true;
  auto at = std::lower_bound(kept_.begin(), kept_.end(), revision,
                             [](const Slot& slot, Revision r) { return slot.newest < r; });
  return at != kept_.end() && at->batch->find(revision, record);
}

int64_t EngineWriter::kept_from() const {
  for (const Slot& slot : kept_)
    if (!slot.batch->records().empty()) return slot.batch->records().front().revision.main;
  return filling_->records().empty() ? INT64_MAX : filling_->records().front().revision.main;
}

// ---- The end
// --------------------------------------------------------------------------------------------------

plugin::Status EngineWriter::close() {
  seal();
  closed_ = true;
  if (!store_) return plugin::Status(plugin::Code::kIo, "the engine could not be reopened: " + why_);
  State state;
  bool fresh = false;
  plugin::Status status = read_state(store_.get(), &state, &fresh);
  for (const Slot& slot : kept_) {
    if (!status.ok() || poisoned_) break;
    if (slot.batch->number() > state.batch)
      status = store_->write(slot.batch->operations(), slot.batch->number());
  }
  const uint64_t last = filling_->number() - 1;
  if (status.ok() && !poisoned_ && !limits_.is_volatile && last > synced_number_) status = store_->sync(last);
  plugin::Status closed = store_->close();
  if (poisoned_) return plugin::Status(plugin::Code::kIo, "the engine had failed: " + why_);
  return status.ok() ? closed : status;
}

}  // namespace quorate::mvcc
