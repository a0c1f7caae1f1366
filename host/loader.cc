#include "host/loader.h"

#include <dlfcn.h>
#include <limits.h>
#include <unistd.h>

#include <boost/dll/shared_library.hpp>
#include <cstring>
#include <filesystem>
#include <memory>
#include <optional>

#include "host/loader_file.h"

namespace quorate::host {
namespace {

using plugin::Code;
using plugin::Kind;
using plugin::Status;

// What keeps a library in the process: dlopen's handle, and the descriptor that it was opened by. The latter
// must not be closed either: its number is part of the name that the dynamic linker knows the library by, and
// a later plugin that got the same number would be answered with this library.
struct Kept {
  OpenFile file;
  boost::dll::shared_library library;
  LoadedPlugin plugin;
};

std::vector<std::unique_ptr<Kept>>& kept() {
  static auto* all = new std::vector<std::unique_ptr<Kept>>;  // outlives every static destructor on purpose
  return *all;
}

bool is_sha256(const std::string& text) {
  return text.size() == 64 && text.find_first_not_of("0123456789abcdefABCDEF") == std::string::npos;
}

std::string lower(std::string text) {
  for (char& c : text)
    if (c >= 'A' && c <= 'F') c = static_cast<char>(c - 'A' + 'a');
  return text;
}

std::string sanitizer_text(const std::string& name) {
  return name.empty() ? "no sanitizer" : "sanitizer " + name;
}

Status check_descriptor(const PluginRequest& request, const std::string& path, const DescriptorInfo& info) {
  if (info.kind != request.kind)
    return refuse(Refusal::kWrongKind, path, {plugin::kind_name(info.kind), plugin::kind_name(request.kind)});
  if (info.name != request.name) return refuse(Refusal::kWrongName, path, {info.name, request.name});
  return {};
}

Status check_build(const std::string& path, const DescriptorInfo& info) {
  auto version = [](uint32_t minor) {
    return std::to_string(plugin::kAbiMajor) + "." + std::to_string(minor);
  };
  if (info.abi_minor > plugin::kAbiMinor)
    return refuse(Refusal::kNewerAbiMinor, path, {version(info.abi_minor), version(plugin::kAbiMinor)});
  const char* here = plugin::this_architecture();
  for (const std::string& built_for : {info.machine, info.architecture})
    if (built_for != here) return refuse(Refusal::kOtherArchitecture, path, {built_for, here});
  if (info.sanitizer != plugin::this_sanitizer())
    return refuse(Refusal::kOtherSanitizer, path,
                  {sanitizer_text(info.sanitizer), sanitizer_text(plugin::this_sanitizer())});
  return {};
}

// The plugin's functions are declared noexcept, which a compiler may trust and drop our handler. So they are
// called through a type without it: a plugin that breaks the contract here is refused, not fatal. *escaped:
// what it threw.
template <typename... Args>
Status call(Status (*function)(Args...), std::optional<std::string>* escaped, Args... args) {
  try {
    return function(args...);
  } catch (const std::exception& e) {
    *escaped = e.what();
  } catch (...) {
    *escaped = "of unknown type";
  }
  return Status(Code::kInternal);
}

// What the dynamic linker said, from the middle of what Boost says, with the file's own name in place of the
// descriptor's.
std::string linker_text(const std::string& what, const OpenFile& file, const std::string& path) {
  constexpr std::string_view kBegin = "system message: ";
  size_t begin = what.find(kBegin);
  begin = begin == std::string::npos ? 0 : begin + kBegin.size();
  size_t end = what.rfind("): ");
  std::string text =
      what.substr(begin, end == std::string::npos || end < begin ? std::string::npos : end - begin);
  size_t name = text.find(file.proc_path());
  if (name != std::string::npos) text.replace(name, file.proc_path().size(), path);
  return text;
}

std::vector<plugin::Option> view_of(const PluginRequest& request) {
  std::vector<plugin::Option> options;
  for (const auto& [key, value] : request.options)
    options.push_back({{key.data(), key.size()}, {value.data(), value.size()}});
  return options;
}

// What the plugin says against the first `count` of its options.
std::optional<std::string> complaint(const plugin::Descriptor& descriptor,
                                     const std::vector<plugin::Option>& options, size_t count) {
  Status (*check)(plugin::View<plugin::Option>) = descriptor.check_options;
  std::optional<std::string> escaped;
  Status status = call(check, &escaped, plugin::View<plugin::Option>(options.data(), count));
  if (status.ok()) return {};
  return escaped ? *escaped : std::string(status.text());
}

// A plugin answers with a text alone. The option it is about is the one with which that text first comes up;
// a text that comes up without any option is about none.
Status check_options(const std::string& path, const plugin::Descriptor& descriptor,
                     const std::vector<plugin::Option>& options, size_t* wrong_option) {
  std::optional<std::string> text = complaint(descriptor, options, options.size());
  if (!text) return {};
  size_t count = 0;
  while (count < options.size() && complaint(descriptor, options, count) != text) ++count;
  if (count > 0 && wrong_option != nullptr) *wrong_option = count - 1;
  return refuse(Refusal::kOptions, path, {*text});
}

}  // namespace

std::vector<std::string> default_plugin_folders() {
  std::error_code error;
  std::filesystem::path bin = std::filesystem::read_symlink("/proc/self/exe", error).parent_path();
  std::filesystem::path prefix = bin.parent_path();
  std::vector<std::string> folders = {(prefix / "lib/quorate/plugins").string()};
  std::string installed = (prefix / QUORATE_INSTALL_PLUGINS).string();
  if (installed != folders[0]) folders.push_back(installed);
  return folders;
}

bool split_plugin_name(const std::string& full, Kind* kind, std::string* name) {
  for (Kind k : {Kind::kStorage, Kind::kTransport, Kind::kAuth}) {
    std::string prefix = std::string(plugin::kind_name(k)) + "-";
    if (full.rfind(prefix, 0) != 0 || full.size() == prefix.size() || full.find('/') != std::string::npos)
      continue;
    *kind = k;
    *name = full.substr(prefix.size());
    return true;
  }
  return false;
}

std::string full_plugin_name(Kind kind, const std::string& name) {
  return std::string(plugin::kind_name(kind)) + "-" + name;
}

Status inspect_plugin(const std::string& path, DescriptorInfo* out, std::string* sha256) {
  OpenFile file;
  Status status = open_for_reading(path, &file);
  if (status.ok()) status = read_descriptor(path, file.get(), out);
  if (status.ok()) status = sha256_of(path, file, sha256);
  return status;
}

std::string describe_plugin(const DescriptorInfo& info, const std::string& sha256) {
  constexpr std::pair<uint64_t, const char*> kNames[] = {{plugin::kCapDeleteRange, "delete-range"},
                                                         {plugin::kCapCheckpoint, "checkpoint"},
                                                         {plugin::kCapPinnedReads, "pinned-reads"},
                                                         {plugin::kCapVolatile, "volatile"},
                                                         {plugin::kCapOwnIo, "own-io"},
                                                         {plugin::kCapOwnsThreads, "owns-threads"}};
  std::string capabilities;
  uint64_t unknown = info.capabilities;
  for (auto [bit, name] : kNames) {
    if ((info.capabilities & bit) != 0) capabilities += std::string(capabilities.empty() ? "" : " ") + name;
    unknown &= ~bit;
  }
  if (unknown != 0) capabilities += std::string(capabilities.empty() ? "" : " ") + "unknown";
  return "plugin: " + full_plugin_name(info.kind, info.name) + "\nversion: " + info.version +
         "\nabi: " + std::to_string(info.abi_major) + "." + std::to_string(info.abi_minor) +
         "\narchitecture: " + info.architecture +
         "\nsanitizer: " + (info.sanitizer.empty() ? "none" : info.sanitizer) +
         "\ncapabilities: " + (capabilities.empty() ? "none" : capabilities) + "\nsha256: " + sha256 + "\n";
}

Loader::Loader(plugin::HostServices* host, std::vector<std::string> folders)
    : host_(host), folders_(std::move(folders)) {}

std::string Loader::file_of(const PluginRequest& request) const {
  if (!request.path.empty()) return request.path;
  std::string file = "lib" + full_plugin_name(request.kind, request.name) + ".so";
  for (const std::string& folder : folders_)
    if (access((folder + "/" + file).c_str(), F_OK) == 0) return folder + "/" + file;
  return folders_.empty() ? file : folders_[0] + "/" + file;
}

Status Loader::load(const PluginRequest& request, const LoadedPlugin** out, size_t* wrong_option) {
  auto next = std::make_unique<Kept>();
  LoadedPlugin& loaded = next->plugin;
  const std::string path = loaded.path = file_of(request);
  Status status = open_safely(path, &next->file);
  if (!status.ok()) return status;
  if (!request.sha256.empty()) {
    if (!is_sha256(request.sha256)) return refuse(Refusal::kBadPin, path);
    OpenFile copy;
    status = copy_sealed(path, next->file, &copy, &loaded.sha256);
    if (!status.ok()) return status;
    if (loaded.sha256 != lower(request.sha256))
      return refuse(Refusal::kWrongSha256, path, {loaded.sha256, lower(request.sha256)});
    next->file = std::move(copy);
  }
  status = read_descriptor(path, next->file.get(), &loaded.info);
  if (status.ok()) status = check_descriptor(request, path, loaded.info);
  if (!status.ok()) return status;
  std::string name = full_plugin_name(request.kind, request.name);
  if (auto before = loaded_.find(name); before != loaded_.end())
    return refuse(Refusal::kDuplicate, path, {name, before->second});
  status = check_build(path, loaded.info);
  if (!status.ok()) return status;

  if (before_dlopen != nullptr) before_dlopen(before_dlopen_argument);
  try {
    namespace mode = boost::dll::load_mode;
    next->library.load(next->file.proc_path(), mode::rtld_now | mode::rtld_local);
  } catch (const std::exception& e) {
    return refuse(Refusal::kCannotLoad, path, {linker_text(e.what(), next->file, path)});
  }
  Kept& k = *kept().emplace_back(std::move(next));  // linked: from here on it stays, used or not
  if (!k.library.has(plugin::kSymbol)) return refuse(Refusal::kNoSymbol, path);
  loaded.descriptor = &k.library.get<const plugin::Descriptor>(plugin::kSymbol);
  if (std::memcmp(loaded.descriptor, loaded.info.inline_bytes, sizeof loaded.info.inline_bytes) != 0)
    return refuse(Refusal::kChanged, path);
  if (loaded.descriptor->create == nullptr)
    return refuse(Refusal::kBadDescriptor, path, {"its field create"});
  if (loaded.descriptor->check_options != nullptr) {
    status = check_options(path, *loaded.descriptor, view_of(request), wrong_option);
    if (!status.ok()) return status;
  }
  loaded_[name] = path;
  *out = &loaded;
  return {};
}

Status Loader::create(const LoadedPlugin& loaded, const PluginRequest& request, const char* interface,
                      void** out, plugin::Object** object) {
  auto options = view_of(request);
  plugin::Object* made = nullptr;
  Status (*function)(plugin::HostServices*, plugin::View<plugin::Option>, plugin::Object**) =
      loaded.descriptor->create;
  std::optional<std::string> escaped;
  plugin::HostServices* host = request.host != nullptr ? request.host : host_;
  Status status =
      call(function, &escaped, host, plugin::View<plugin::Option>(options.data(), options.size()), &made);
  if (escaped) return refuse(Refusal::kCreateThrew, loaded.path, {*escaped});
  auto owner = plugin::Ref<plugin::Object>::adopt(made);
  if (!status.ok())
    return refuse(Refusal::kCreateFailed, loaded.path,
                  {std::string(plugin::code_name(status.code())) + ": " + status.text()});
  if (!owner) return refuse(Refusal::kNoObject, loaded.path);
  *out = owner->query(interface);
  if (*out == nullptr) return refuse(Refusal::kNoInterface, loaded.path, {interface});
  *object = owner.detach();
  return {};
}

}  // namespace quorate::host
