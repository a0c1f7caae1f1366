// A host for plugins under test: the services a test wants, and a loader that is one dlopen.
#pragma once

#include <initializer_list>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "quorate/plugin/abi.h"
#include "quorate/plugin/host.h"

namespace quorate::test {

// Keeps the lines it is given. [thread-safe]
class LogLines final : public plugin::Counted<plugin::Log> {
 public:
  bool enabled(plugin::LogLevel) noexcept override { return true; }
  void write(plugin::LogLevel level, plugin::ByteView message,
             plugin::ByteView fields_json) noexcept override;
  std::vector<std::string> lines();

 private:
  std::mutex mutex_;
  std::vector<std::string> lines_;
};

// HostServices made of what it is given; a null service is one that the host does not offer. Keeps
// references.
class PluginHost final : public plugin::Counted<plugin::HostServices> {
 public:
  explicit PluginHost(plugin::Files* files, plugin::Log* log = nullptr, plugin::Clock* clock = nullptr,
                      plugin::Random* random = nullptr);
  void* query(const char* id) noexcept override;

 private:
  plugin::Ref<plugin::Files> files_;
  plugin::Ref<plugin::Log> log_;
  plugin::Ref<plugin::Clock> clock_;
  plugin::Ref<plugin::Random> random_;
};

// Options as text, for the life of this object.
class OptionList {
 public:
  OptionList() = default;
  OptionList(std::initializer_list<std::pair<std::string, std::string>> options);
  OptionList(const OptionList&) = delete;
  plugin::View<plugin::Option> view() const { return {options_.data(), options_.size()}; }

 private:
  std::vector<std::pair<std::string, std::string>> texts_;
  std::vector<plugin::Option> options_;
};

// The .so of plugin `name` ("storage-memory") below `binary_dir`, the test's QUORATE_BINARY_DIR.
std::string plugin_path(const char* binary_dir, const std::string& name);

// The descriptor of a library, which stays loaded for the life of the process; throws std::runtime_error.
const plugin::Descriptor& load_plugin(const std::string& path);

}  // namespace quorate::test
