// The memory engine: one persistent tree per keyspace. It keeps nothing across close(), says so
// (kCapVolatile), and is the oracle that the other engines are compared with.
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "quorate/plugin/options.h"
#include "quorate/plugin/storage.h"
#include "tree.h"

namespace quorate::memory {
namespace {

using plugin::ByteView;
using plugin::Code;
using plugin::Mark;
using plugin::Status;
using plugin::View;

std::string_view text(ByteView v) { return {v.chars(), static_cast<size_t>(v.size)}; }
ByteView bytes(std::string_view v) { return {v.data(), v.size()}; }

Status no_keyspace(uint32_t keyspace) {
  return Status(Code::kInvalid, "no keyspace " + std::to_string(keyspace) + " was opened");
}

struct Version {
  std::vector<Tree> keyspaces;
  Mark mark = 0;
};

// What a store and its views share, so that a view may outlive its store.
struct Shared {
  std::mutex mutex;
  Version current;  // under mutex
  std::atomic<bool> closed{false};
};

class MemoryView final : public plugin::Counted<plugin::ReadView> {
 public:
  MemoryView(std::shared_ptr<const Shared> shared, Version version)
      : shared_(std::move(shared)), version_(std::move(version)) {}

  Mark mark() noexcept override { return version_.mark; }

  Status get(uint32_t keyspace, ByteView key, plugin::ReadSink* sink) noexcept override {
    return plugin::guarded([&] {
      if (Status s = check(keyspace); !s.ok()) return s;
      const Entry* entry = version_.keyspaces[keyspace].find(text(key));
      if (entry == nullptr) return Status(Code::kNotFound);
      sink->entry(0, 1, key, bytes(entry->value()));
      return Status();
    });
  }

  Status multi_get(uint32_t keyspace, View<ByteView> keys, plugin::ReadSink* sink) noexcept override {
    return plugin::guarded([&] {
      if (Status s = check(keyspace); !s.ok()) return s;
      for (uint64_t i = 0; i < keys.size; ++i) {
        const Entry* entry = version_.keyspaces[keyspace].find(text(keys[i]));
        sink->entry(i, entry != nullptr, keys[i], entry == nullptr ? ByteView() : bytes(entry->value()));
      }
      return Status();
    });
  }

  Status scan(const plugin::ScanOptions& options, plugin::ReadSink* sink) noexcept override {
    return plugin::guarded([&] {
      if (Status s = check(options.keyspace); !s.ok()) return s;
      uint64_t position = 0;
      auto visit = [&](const Entry& e) {
        return sink->entry(position++, 1, bytes(e.key()), bytes(e.value())) != 0;
      };
      version_.keyspaces[options.keyspace].scan(text(options.begin), text(options.end), options.reverse != 0,
                                                visit);
      return Status();
    });
  }

 private:
  Status check(uint32_t keyspace) const {
    if (shared_->closed.load(std::memory_order_acquire))
      return Status(Code::kViewExpired, "the store was closed");
    return keyspace < version_.keyspaces.size() ? Status() : no_keyspace(keyspace);
  }
  std::shared_ptr<const Shared> shared_;
  const Version version_;
};

class MemoryStore final : public plugin::Counted<plugin::Store> {
 public:
  MemoryStore(uint32_t keyspaces, bool read_only)
      : shared_(std::make_shared<Shared>()), read_only_(read_only) {
    shared_->current.keyspaces.resize(keyspaces);
  }

  Status write(View<plugin::WriteOp> batch, Mark mark) noexcept override {
    return plugin::guarded([&] {
      if (closed()) return Status(Code::kInvalid, "the store was closed");
      if (read_only_) return Status(Code::kInvalid, "the store was opened for reading only");
      Version next = current();  // an error on the way leaves the published version as it was
      if (mark < next.mark) return Status(Code::kInvalid, "the mark is below an earlier one");
      for (const plugin::WriteOp& op : batch) {
        if (Status s = change(&next, op); !s.ok()) return s;
      }
      next.mark = mark;
      std::lock_guard lock(shared_->mutex);
      std::swap(shared_->current, next);
      return Status();
    });
  }

  // Nothing survives, with or without it.
  Status sync(Mark) noexcept override {
    return closed() ? Status(Code::kInvalid, "the store was closed") : Status();
  }
  Mark durable_mark() noexcept override { return 0; }

  Status new_read_view(plugin::ReadView** out) noexcept override {
    return plugin::guarded([&] {
      if (closed()) return Status(Code::kInvalid, "the store was closed");
      *out = plugin::make<MemoryView>(shared_, current()).detach();
      return Status();
    });
  }

  Status compact(uint32_t, ByteView, ByteView) noexcept override {
    return closed() ? Status(Code::kInvalid, "the store was closed") : Status();
  }
  uint64_t approximate_size() noexcept override { return 0; }

  void statistics(plugin::StatisticsSink* sink) noexcept override {
    (void)plugin::guarded([&] {
      Version version = current();
      uint64_t entries = 0;
      uint64_t size = 0;
      for (const Tree& tree : version.keyspaces) {
        entries += tree.entries();
        size += tree.bytes();
      }
      sink->statistic(bytes("memory.entries"), bytes(std::to_string(entries)));
      sink->statistic(bytes("memory.bytes"), bytes(std::to_string(size)));
      return Status();
    });
  }

  Status close() noexcept override {
    shared_->closed.store(true, std::memory_order_release);
    Version none;  // frees the trees after the lock
    std::lock_guard lock(shared_->mutex);
    std::swap(shared_->current, none);
    return Status();
  }

 private:
  bool closed() const { return shared_->closed.load(std::memory_order_acquire); }
  Version current() {
    std::lock_guard lock(shared_->mutex);
    return shared_->current;
  }

  static Status change(Version* version, const plugin::WriteOp& op) {
    if (op.keyspace >= version->keyspaces.size()) return no_keyspace(op.keyspace);
    Tree& tree = version->keyspaces[op.keyspace];
    switch (op.kind) {
      case plugin::WriteKind::kPut:
        tree.put(text(op.key), text(op.value));
        return Status();
      case plugin::WriteKind::kDelete:
        tree.erase(text(op.key));
        return Status();
      case plugin::WriteKind::kDeleteRange:
        tree.erase_range(text(op.key), text(op.value));
        return Status();
    }
    return Status(Code::kUnsupported, "a write of kind " + std::to_string(static_cast<uint32_t>(op.kind)));
  }

  std::shared_ptr<Shared> shared_;
  const bool read_only_;
};

Status check_options(View<plugin::Option> options) noexcept {
  return plugin::guarded([&] { return plugin::OptionTable().apply(options); });
}

class MemoryEngine final : public plugin::Counted<plugin::Engine> {
 public:
  void* query(const char* id) noexcept override {
    return std::string_view(id) == kId ? static_cast<plugin::Engine*>(this) : nullptr;
  }
  Status open(const plugin::OpenInfo& info, plugin::StorageEvents*, plugin::Store** out) noexcept override {
    return plugin::guarded([&] {
      if (Status s = check_options(info.options); !s.ok()) return s;
      if (info.keyspaces == 0) return Status(Code::kInvalid, "a store needs a keyspace");
      *out = plugin::make<MemoryStore>(info.keyspaces, info.read_only != 0).detach();
      return Status();
    });
  }
};

Status create(plugin::HostServices*, View<plugin::Option> options, plugin::Object** out) noexcept {
  return plugin::guarded([&] {
    if (Status s = check_options(options); !s.ok()) return s;
    *out = plugin::make<MemoryEngine>().detach();
    return Status();
  });
}

}  // namespace
}  // namespace quorate::memory

QUORATE_PLUGIN(kStorage, "memory", "0.1.0",
               ::quorate::plugin::kCapDeleteRange | ::quorate::plugin::kCapVolatile,
               ::quorate::memory::create, ::quorate::memory::check_options);
