// Loads plugins: finds the file, checks everything that can be checked without running it, and only then
// links it.
//
// The order, each step with its own refusal (loader_refusals.h): a regular file · safe owners and
// permissions, of it and of every folder on the way · SHA-256, when pinned · the descriptor, read from the
// file · kind, name, duplicate, ABI, architecture, sanitizer · dlopen (now, local) · the symbol · options ·
// create(). The descriptor's magic and ABI major come first among its own: with another major, nothing else
// in it could be read.
//
// What was checked is what runs: the file is opened once, and both the descriptor and dlopen read that inode.
// A pinned one is copied first into memory that nobody can change, so that not even a write to the file
// itself gets in between. A library is never unloaded. Not thread-safe: for start-up.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "host/loader_elf.h"
#include "host/loader_refusals.h"
#include "quorate/plugin/abi.h"

namespace quorate::host {

struct PluginRequest {
  plugin::Kind kind = plugin::Kind::kStorage;
  std::string name;    // without the kind: "rocksdb"
  std::string path;    // a file elsewhere; empty: lib<kind>-<name>.so in the loader's folders
  std::string sha256;  // 64 hexadecimal digits; empty: not pinned
  std::vector<std::pair<std::string, std::string>> options;  // dotted key, TOML scalar as text
  // What this plugin is given instead of the loader's host services: a log of its own name, say.
  plugin::HostServices* host = nullptr;
};

// A library that is part of the process for good.
struct LoadedPlugin {
  DescriptorInfo info;
  std::string path;
  std::string sha256;  // when pinned
  const plugin::Descriptor* descriptor = nullptr;
};

// <folder of the binary>/../lib/quorate/plugins, and, where installing chose another library folder, that
// one.
std::vector<std::string> default_plugin_folders();

// "storage-rocksdb" → its kind and name. False: not of that form.
bool split_plugin_name(const std::string& full, plugin::Kind* kind, std::string* name);
std::string full_plugin_name(plugin::Kind kind, const std::string& name);

// For `quorate plugin inspect FILE`: runs no code of the file, and does not ask who owns it.
plugin::Status inspect_plugin(const std::string& path, DescriptorInfo* out, std::string* sha256);
// As lines "key: value", for people.
std::string describe_plugin(const DescriptorInfo& info, const std::string& sha256);

class Loader {
 public:
  // `host` is what plugins are given; it outlives them, which is to say that it lives as long as the
  // process. One loader for all plugins of a node: it is what notices one that is loaded twice.
  explicit Loader(plugin::HostServices* host, std::vector<std::string> folders = default_plugin_folders());

  // Everything up to the symbol, and the options' check. *out lives as long as the process. *wrong_option:
  // when the plugin refuses its options, the place in request.options of the one that it refuses, if that can
  // be told; else it is left alone.
  plugin::Status load(const PluginRequest& request, const LoadedPlugin** out, size_t* wrong_option = nullptr);
  // The plugin's root object, as the interface of its kind. Options as in the request.
  plugin::Status create(const LoadedPlugin& loaded, const PluginRequest& request, const char* interface,
                        void** out, plugin::Object** object);
  // Both. T: plugin::Engine, Transport or Channel.
  template <typename T>
  plugin::Status make(const PluginRequest& request, plugin::Ref<T>* out) {
    const LoadedPlugin* loaded = nullptr;
    plugin::Status status = load(request, &loaded);
    void* made = nullptr;
    plugin::Object* object = nullptr;
    if (status.ok()) status = create(*loaded, request, T::kId, &made, &object);
    // The object's reference is the interface's.
    if (status.ok()) *out = plugin::Ref<T>::adopt(static_cast<T*>(made));
    return status;
  }

  // For tests: runs between the checks and dlopen.
  void (*before_dlopen)(void* argument) = nullptr;
  void* before_dlopen_argument = nullptr;

 private:
  std::string file_of(const PluginRequest& request) const;

  plugin::HostServices* host_;
  std::vector<std::string> folders_;
  std::map<std::string, std::string> loaded_;  // full name → path
};

}  // namespace quorate::host
