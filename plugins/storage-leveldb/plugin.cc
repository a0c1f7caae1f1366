#include <string>
#include <string_view>

#include "quorate/plugin/storage.h"
#include "store.h"

namespace quorate::level {
namespace {

using plugin::Code;
using plugin::Status;

class LevelEngine final : public plugin::Counted<plugin::Engine> {
 public:
  LevelEngine(plugin::Files* files, plugin::Log* log, const Settings& settings)
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
      if (info.read_only != 0) return Status(Code::kUnsupported, "LevelDB cannot be opened for reading only");
      if (info.keyspaces == 0 || info.keyspaces > kMaxKeyspaces) {
        return Status(Code::kInvalid, "keyspaces: " + std::to_string(info.keyspaces) +
                                          " is not between 1 and " + std::to_string(kMaxKeyspaces));
      }
      return LevelStore::open(info, settings, files_.get(), log_.get(), events, out);
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
    *out = plugin::make<LevelEngine>(files, plugin::service<plugin::Log>(host), settings).detach();
    return Status();
  });
}

}  // namespace
}  // namespace quorate::level

QUORATE_PLUGIN(kStorage, "leveldb", "0.1.0", ::quorate::plugin::kCapOwnsThreads, ::quorate::level::create,
               ::quorate::level::check_options);
