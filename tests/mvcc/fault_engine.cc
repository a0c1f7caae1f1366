#include "mvcc/fault_engine.h"

namespace quorate::test {
namespace {

using plugin::ByteView;
using plugin::Code;
using plugin::Status;

std::string text(ByteView v) { return {v.chars(), v.size}; }
ByteView bytes(const std::string& s) { return {s.data(), s.size()}; }

// Looks at the live contents: enough for tests that run a whole read in one step.
class View final : public plugin::Counted<plugin::ReadView> {
 public:
  View(std::shared_ptr<FaultDisk> disk, uint32_t generation, bool expired)
      : disk_(std::move(disk)), generation_(generation), expired_(expired) {}
  plugin::Mark mark() noexcept override { return 0; }
  Status get(uint32_t keyspace, ByteView key, plugin::ReadSink* sink) noexcept override {
    if (Status s = check(); !s.ok()) return s;
    ++disk_->gets;
    auto at = disk_->live[keyspace].find(text(key));
    if (at == disk_->live[keyspace].end()) return Status(Code::kNotFound);
    sink->entry(0, 1, bytes(at->first), bytes(at->second));
    return {};
  }
  Status multi_get(uint32_t keyspace, plugin::View<ByteView> keys, plugin::ReadSink* sink) noexcept override {
    if (Status s = check(); !s.ok()) return s;
    ++disk_->multi_gets;
    for (uint64_t i = 0; i < keys.size; ++i) {
      auto at = disk_->live[keyspace].find(text(keys[i]));
      bool found = at != disk_->live[keyspace].end();
      sink->entry(i, found ? 1 : 0, keys[i], found ? bytes(at->second) : ByteView());
    }
    return {};
  }
  Status scan(const plugin::ScanOptions& options, plugin::ReadSink* sink) noexcept override {
    if (Status s = check(); !s.ok()) return s;
    const auto& map = disk_->live[options.keyspace];
    uint64_t position = 0;
    for (auto at = map.lower_bound(text(options.begin)); at != map.end(); ++at) {
      if (!options.end.empty() && at->first >= text(options.end)) break;
      if (sink->entry(position++, 1, bytes(at->first), bytes(at->second)) == 0) break;
    }
    return {};
  }

 private:
  Status check() const {
    if (expired_ || generation_ != disk_->generation)
      return Status(Code::kViewExpired, "the view has expired");
    return {};
  }
  std::shared_ptr<FaultDisk> disk_;
  uint32_t generation_;
  bool expired_;
};

class Handle final : public plugin::Counted<plugin::Store> {
 public:
  explicit Handle(std::shared_ptr<FaultDisk> disk) : disk_(std::move(disk)), generation_(disk_->generation) {}
  Status write(plugin::View<plugin::WriteOp> batch, plugin::Mark) noexcept override {
    if (Status s = check(); !s.ok()) return s;
    ++disk_->writes;
    bool fail = disk_->write_errors != 0;
    if (fail) --disk_->write_errors;
    std::vector<FaultDisk::Op> ops;
    for (const plugin::WriteOp& op : batch)
      ops.push_back({op.kind, op.keyspace, text(op.key), text(op.value)});
    if (!fail || disk_->failed_write_lands) {
      FaultDisk::apply(disk_->live, ops);
      disk_->unsynced.push_back(std::move(ops));
    }
    if (!fail) return {};
    if (disk_->write_error != Code::kRetryable) poison_ = Status(disk_->write_error, "an injected failure");
    return Status(disk_->write_error, "an injected failure");
  }
  Status sync(plugin::Mark mark) noexcept override {
    if (Status s = check(); !s.ok()) return s;
    if (disk_->sync_errors != 0) {
      --disk_->sync_errors;
      poison_ = Status(disk_->sync_error, "an injected sync failure");
      return poison_;
    }
    for (const auto& batch : disk_->unsynced) FaultDisk::apply(disk_->durable, batch);
    disk_->unsynced.clear();
    durable_ = mark;
    return {};
  }
  plugin::Mark durable_mark() noexcept override { return durable_; }
  Status new_read_view(plugin::ReadView** out) noexcept override {
    if (generation_ != disk_->generation) return Status(Code::kViewExpired, "closed");
    bool expired = std::exchange(disk_->expire_next_view, false);
    *out = plugin::make<View>(disk_, generation_, expired).detach();
    return {};
  }
  Status compact(uint32_t, ByteView, ByteView) noexcept override { return {}; }
  uint64_t approximate_size() noexcept override {
    uint64_t size = 0;
    for (const auto& map : disk_->live)
      for (const auto& [k, v] : map) size += k.size() + v.size();
    return size;
  }
  void statistics(plugin::StatisticsSink*) noexcept override {}
  Status close() noexcept override {
    if (generation_ != disk_->generation) return Status(Code::kInvalid, "closed already");
    ++disk_->generation;
    return {};
  }

 private:
  Status check() const {
    if (generation_ != disk_->generation) return Status(Code::kIo, "this handle is dead");
    return poison_;
  }
  std::shared_ptr<FaultDisk> disk_;
  uint32_t generation_;
  plugin::Mark durable_ = 0;
  Status poison_;
};

}  // namespace

void FaultDisk::apply(Contents& to, const std::vector<Op>& batch) {
  for (const Op& op : batch) {
    if (op.kind == plugin::WriteKind::kPut)
      to[op.keyspace][op.key] = op.value;
    else
      to[op.keyspace].erase(op.key);
  }
}

void FaultDisk::power_cut(size_t keep) {
  for (size_t i = 0; i < keep && i < unsynced.size(); ++i) apply(durable, unsynced[i]);
  unsynced.clear();
  live = durable;
  ++generation;
}

Status FaultEngine::open(const plugin::OpenInfo& info, plugin::StorageEvents*, plugin::Store** out) noexcept {
  if (info.keyspaces > disk_->live.size()) return Status(Code::kInvalid, "too many keyspaces");
  if (disk_->open_errors != 0) {
    --disk_->open_errors;
    return Status(disk_->open_error, "an injected failure to open");
  }
  ++disk_->generation;
  *out = plugin::make<Handle>(disk_).detach();
  return {};
}

}  // namespace quorate::test
