#include "support/plugin_host.h"

#include <dlfcn.h>

#include <cstring>
#include <stdexcept>
#include <string_view>

namespace quorate::test {

void LogLines::write(plugin::LogLevel, plugin::ByteView message, plugin::ByteView fields_json) noexcept {
  std::lock_guard lock(mutex_);
  lines_.emplace_back(message.chars(), message.size);
  lines_.back().append(fields_json.chars(), fields_json.size);
}

std::vector<std::string> LogLines::lines() {
  std::lock_guard lock(mutex_);
  return lines_;
}

PluginHost::PluginHost(plugin::Files* files, plugin::Log* log, plugin::Clock* clock, plugin::Random* random)
    : files_(plugin::Ref<plugin::Files>::share(files)),
      log_(plugin::Ref<plugin::Log>::share(log)),
      clock_(plugin::Ref<plugin::Clock>::share(clock)),
      random_(plugin::Ref<plugin::Random>::share(random)) {}

void* PluginHost::query(const char* id) noexcept {
  std::string_view name(id);
  if (name == kId) return static_cast<plugin::HostServices*>(this);
  if (name == plugin::Files::kId) return files_.get();
  if (name == plugin::Log::kId) return log_.get();
  if (name == plugin::Clock::kId) return clock_.get();
  if (name == plugin::Random::kId) return random_.get();
  return nullptr;
}

OptionList::OptionList(std::initializer_list<std::pair<std::string, std::string>> options) : texts_(options) {
  for (const auto& [key, value] : texts_) {
    options_.push_back({{key.data(), key.size()}, {value.data(), value.size()}});
  }
}

std::string plugin_path(const char* binary_dir, const std::string& name) {
  return std::string(binary_dir) + "/lib/quorate/plugins/lib" + name + ".so";
}

const plugin::Descriptor& load_plugin(const std::string& path) {
  void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) throw std::runtime_error(dlerror());
  const void* symbol = dlsym(library, plugin::kSymbol);
  if (symbol == nullptr) throw std::runtime_error(path + ": no " + plugin::kSymbol);
  const auto& descriptor = *static_cast<const plugin::Descriptor*>(symbol);
  if (std::memcmp(descriptor.magic, plugin::kMagic, sizeof plugin::kMagic) != 0) {
    throw std::runtime_error(path + ": wrong magic");
  }
  return descriptor;
}

}  // namespace quorate::test
