#include "host/plugins_toml.h"

#include <toml++/toml.h>

#include <algorithm>
#include <filesystem>
#include <sstream>

#include "host/config_file.h"
#include "host/flags_values.h"

namespace quorate::host {

using plugin::Code;
using plugin::Kind;
using plugin::ListenerRole;
using plugin::Status;

namespace {

constexpr char kBuiltIn[] = "built in";

struct Role {
  const char* name;
  ListenerRole role;
};
constexpr Role kRoles[] = {{"client", ListenerRole::kClient}, {"peer", ListenerRole::kPeer}};

PluginChoice builtin(Kind kind, const char* name) {
  PluginChoice choice;
  choice.request.kind = kind;
  choice.request.name = name;
  choice.where = kBuiltIn;
  return choice;
}

class Reader {
 public:
  Reader(const std::string& file, PluginsConfig* out) : file_(file), out_(out) {}

  Status read(const toml::table& root) {
    if (Status s = check_keys(root, "", {"storage", "transport", "peer"}); !s.ok()) return s;
    if (Status s = read_storage(root); !s.ok()) return s;
    if (Status s = read_transports(root); !s.ok()) return s;
    return read_peer(root);
  }

 private:
  std::string place(const toml::source_region& at) const {
    return at.begin.line == 0 ? file_ : file_ + ":" + std::to_string(at.begin.line);
  }
  Status wrong(const toml::source_region& at, const std::string& key, const std::string& what) const {
    return Status(Code::kInvalid, place(at) + ": " + key + ": " + what);
  }
  Status wrong(const toml::node& at, const std::string& key, const std::string& what) const {
    return wrong(at.source(), key, what);
  }

  Status check_keys(const toml::table& table, const std::string& prefix,
                    const std::vector<std::string>& known) const {
    for (const auto& [key, node] : table) {
      if (std::find(known.begin(), known.end(), key.str()) != known.end()) continue;
      std::string near = nearest(key.str(), known);
      return wrong(key.source(), prefix + std::string(key.str()),
                   "there is no such key" + (near.empty() ? "" : "; did you mean " + prefix + near + "?"));
    }
    return {};
  }

  Status read_text(const toml::table& table, const std::string& section, const char* key,
                   std::string* out) const {
    const toml::node* node = table.get(key);
    if (node == nullptr) return {};
    const toml::value<std::string>* text = node->as_string();
    if (text == nullptr || text->get().empty()) return wrong(*node, section + "." + key, "is not a text");
    *out = text->get();
    return {};
  }

  Status read_storage(const toml::table& root) {
    const toml::node* node = root.get("storage");
    if (node == nullptr) return {};
    if (!node->is_table()) return wrong(*node, "storage", "is not a table: [storage]");
    const toml::table& table = *node->as_table();
    if (Status s = check_keys(table, "storage.", {"plugin", "path", "sha256", "options"}); !s.ok()) return s;
    out_->storage = {};
    return read_plugin(table, "storage", Kind::kStorage, &out_->storage);
  }

  Status read_transports(const toml::table& root) {
    const toml::node* node = root.get("transport");
    if (node == nullptr) return {};
    if (!node->is_array_of_tables())
      return wrong(*node, "transport", "is not a list of tables: [[transport]]");
    out_->transports.clear();
    for (const toml::node& item : *node->as_array()) {
      const toml::table& table = *item.as_table();
      if (Status s = check_keys(table, "transport.", {"plugin", "path", "sha256", "options", "listeners"});
          !s.ok())
        return s;
      PluginChoice choice;
      if (Status s = read_plugin(table, "transport", Kind::kTransport, &choice); !s.ok()) return s;
      if (Status s = read_listeners(table, &choice); !s.ok()) return s;
      for (const PluginChoice& other : out_->transports)
        if (other.request.name == choice.request.name)
          return wrong(item, "transport.plugin", "\"transport-" + choice.request.name + "\" is there twice");
      out_->transports.push_back(std::move(choice));
    }
    return {};
  }

  Status read_plugin(const toml::table& table, const std::string& section, Kind kind,
                     PluginChoice* choice) const {
    PluginRequest& request = choice->request;
    choice->where = place(table.source());
    std::string full;
    if (Status s = read_text(table, section, "plugin", &full); !s.ok()) return s;
    if (full.empty()) return wrong(table, section + ".plugin", "is missing");
    request.kind = kind;
    Kind named{};
    if (!split_plugin_name(full, &named, &request.name) || named != kind)
      return wrong(*table.get("plugin"), section + ".plugin",
                   in_quotes(full) + " is not of the form " + plugin::kind_name(kind) + "-NAME");
    if (Status s = read_text(table, section, "path", &request.path); !s.ok()) return s;
    // A file beside this one, wherever the process was started.
    if (!request.path.empty())
      request.path =
          (std::filesystem::absolute(file_).parent_path() / request.path).lexically_normal().string();
    if (Status s = read_text(table, section, "sha256", &request.sha256); !s.ok()) return s;
    bool is_hash = request.sha256.empty() ||
                   (request.sha256.size() == 64 &&
                    request.sha256.find_first_not_of("0123456789abcdefABCDEF") == std::string::npos);
    if (!is_hash) return wrong(*table.get("sha256"), section + ".sha256", "is not 64 hexadecimal digits");
    const toml::node* options = table.get("options");
    if (options == nullptr) return {};
    if (!options->is_table()) return wrong(*options, section + ".options", "is not a table");
    return read_options(*options->as_table(), section + ".options", "", choice);
  }

  Status read_options(const toml::table& table, const std::string& section, const std::string& prefix,
                      PluginChoice* choice) const {
    for (const auto& [key, node] : table) {
      std::string name = prefix + std::string(key.str());
      if (node.is_table()) {
        if (Status s = read_options(*node.as_table(), section, name + ".", choice); !s.ok()) return s;
        continue;
      }
      if (node.is_array()) return wrong(node, section + "." + name, "is a list; options are single values");
      std::ostringstream text;
      if (const auto* string = node.as_string())
        text << string->get();
      else
        node.visit([&](const auto& value) { text << value; });
      choice->request.options.emplace_back(std::move(name), text.str());
      choice->option_where.push_back(place(key.source()));
    }
    return {};
  }

  Status read_listeners(const toml::table& table, PluginChoice* choice) const {
    const toml::node* node = table.get("listeners");
    if (node == nullptr) return {};
    if (!node->is_array() || node->as_array()->empty())
      return wrong(*node, "transport.listeners", "is not a list of \"client\" and \"peer\"");
    choice->roles.clear();
    for (const toml::node& item : *node->as_array()) {
      std::string word = item.value_or(std::string());
      const Role* found =
          std::find_if(std::begin(kRoles), std::end(kRoles), [&](const Role& r) { return word == r.name; });
      if (found == std::end(kRoles))
        return wrong(item, "transport.listeners", in_quotes(word) + " is neither \"client\" nor \"peer\"");
      if (std::find(choice->roles.begin(), choice->roles.end(), found->role) != choice->roles.end())
        return wrong(item, "transport.listeners", in_quotes(word) + " is there twice");
      choice->roles.push_back(found->role);
    }
    return {};
  }

  Status read_peer(const toml::table& root) {
    const toml::node* node = root.get("peer");
    if (node != nullptr && !node->is_table()) return wrong(*node, "peer", "is not a table: [peer]");
    if (node != nullptr) {
      const toml::table& table = *node->as_table();
      if (Status s = check_keys(table, "peer.", {"transport"}); !s.ok()) return s;
      if (Status s = read_text(table, "peer", "transport", &out_->peer_transport); !s.ok()) return s;
    }
    for (const PluginChoice& t : out_->transports) {
      if (full_plugin_name(Kind::kTransport, t.request.name) != out_->peer_transport) continue;
      if (std::find(t.roles.begin(), t.roles.end(), ListenerRole::kPeer) != t.roles.end()) return {};
      return Status(Code::kInvalid, t.where + ": transport.listeners: " + in_quotes(out_->peer_transport) +
                                        " is peer.transport, and so needs \"peer\"");
    }
    const toml::node* at = node == nullptr ? nullptr : node->as_table()->get("transport");
    return wrong(at == nullptr ? root.source() : at->source(), "peer.transport",
                 in_quotes(out_->peer_transport) + " is not among the transports");
  }

  const std::string& file_;
  PluginsConfig* out_;
};

// Relative to the binary, so that a prefix can be moved.
std::string installed_file() {
  std::error_code error;
  std::filesystem::path binary = std::filesystem::read_symlink("/proc/self/exe", error);
  if (error) return {};
  return (binary.parent_path().parent_path() / "etc/quorate/plugins.toml").string();
}

}  // namespace

PluginsConfig builtin_plugins() {
  PluginsConfig config;
  config.source = kBuiltIn;
  config.storage = builtin(Kind::kStorage, "rocksdb");
  config.transports.push_back(builtin(Kind::kTransport, "grpc"));
  config.peer_transport = "transport-grpc";
  return config;
}

Status parse_plugins(const std::string& toml, const std::string& file, PluginsConfig* out) {
  *out = builtin_plugins();
  out->source = file;
  try {
    return Reader(file, out).read(toml::parse(toml, file));
  } catch (const toml::parse_error& error) {
    return Status(Code::kInvalid, file + ":" + std::to_string(error.source().begin.line) +
                                      ": is not TOML: " + std::string(error.description()));
  } catch (const std::exception& error) {
    return Status(Code::kInvalid, file + ": is not TOML: " + error.what());
  }
}

Status find_plugins(const std::string& chosen, const std::string& data_directory, PluginsConfig* out) {
  std::vector<std::string> places;
  if (!chosen.empty())
    places = {chosen};
  else
    places = {data_directory + "/plugins.toml", installed_file()};
  for (const std::string& place : places) {
    std::string text;
    Status status = place.empty() ? Status(Code::kNotFound) : read_trusted_file(place, &text);
    if (status.ok()) return parse_plugins(text, place, out);
    if (!chosen.empty()) return Status(status.code(), "--plugins: " + std::string(status.text()));
    if (status.code() != Code::kNotFound) return status;
  }
  *out = builtin_plugins();
  return {};
}

namespace {

std::string describe(const PluginChoice& choice, const std::string& section) {
  const PluginRequest& request = choice.request;
  std::string text =
      "plugin = " + in_quotes(full_plugin_name(request.kind, request.name)) + "  # " + choice.where + "\n";
  if (!request.path.empty()) text += "path = " + in_quotes(request.path) + "\n";
  if (!request.sha256.empty()) text += "sha256 = " + in_quotes(request.sha256) + "\n";
  if (request.kind == Kind::kTransport) {
    text += "listeners = [";
    for (ListenerRole role : choice.roles)
      text += std::string(text.back() == '[' ? "" : ", ") +
              (role == ListenerRole::kPeer ? "\"peer\"" : "\"client\"");
    text += "]\n";
  }
  if (!request.options.empty()) text += "[" + section + ".options]\n";
  for (const auto& [key, value] : request.options) text += key + " = " + in_quotes(value) + "\n";
  return text;
}

}  // namespace

std::string describe(const PluginsConfig& config) {
  std::string text = "# plugins: " + config.source + "\n[storage]\n" + describe(config.storage, "storage");
  for (const PluginChoice& transport : config.transports)
    text += "\n[[transport]]\n" + describe(transport, "transport");
  return text + "\n[peer]\ntransport = " + in_quotes(config.peer_transport) + "\n";
}

}  // namespace quorate::host
