#include <string_view>

#include "quorate/plugin/storage.h"
#include "store.h"

namespace quorate::rocks {
namespace {

using plugin::Code;
using plugin::Status;

class RocksEngine final : public plugin::Counted<plugin::Engine> {
 public:
  RocksEngine(plugin::Files* files, plugin::Log* log, const Settings& settings)
      : files_(plugin::Ref<plugin::Files>::share(files)),
        log_(plugin::Ref<plugin::Log>::share(log)),
        settings_(settings) {}

  void* query(const char* id) noexcept override {
    return std::string_view(id) == kId ? static_cast<plugin::Engine*>(this) : nullptr;
  }
  Status open(const plugin::OpenInfo& info, plugin::StorageEvents* events,
              plugin::Store** out) noexcept override {
    return plugin::guarded([&] {
      Settings settings = settings_;
      if (Status s = settings.apply(info.options); !s.ok()) return s;
      if (info.directory == nullptr) return Status(Code::kInvalid, "a store needs a directory");
      if (info.keyspaces == 0) return Status(Code::kInvalid, "a store needs a keyspace");
      return RocksStore::open(info, settings, files_.get(), log_.get(), events, out);
    });
  }

 private:
  const plugin::Ref<plugin::Files> files_;
  const plugin::Ref<plugin::Log> log_;
  const Settings settings_;
};

Status check_options(plugin::View<plugin::Option> options) noexcept {
  return plugin::guarded([&] { return Settings().apply(options); });
}

Status create(plugin::HostServices* host, plugin::View<plugin::Option> options,
              plugin::Object** out) noexcept {
  return plugin::guarded([&] {
    Settings settings;
    if (Status s = settings.apply(options); !s.ok()) return s;
    auto* files = plugin::service<plugin::Files>(host);
    if (files == nullptr) return Status(Code::kUnsupported, "the host offers no files");
    *out = plugin::make<RocksEngine>(files, plugin::service<plugin::Log>(host), settings).detach();
    return Status();
  });
}

}  // namespace
}  // namespace quorate::rocks

QUORATE_PLUGIN(kStorage, "rocksdb", "0.1.0",
               ::quorate::plugin::kCapDeleteRange | ::quorate::plugin::kCapOwnsThreads,
               ::quorate::rocks::create, ::quorate::rocks::check_options);
