// etcd's YAML file, and the JSON of its log rotation: everything that needs yaml-cpp.
#include <yaml-cpp/yaml.h>

#include <set>

#include "host/config.h"
#include "host/config_file.h"

namespace quorate::host {

using plugin::Code;
using plugin::Status;

namespace {

Status invalid(const std::string& text) { return Status(Code::kInvalid, text); }

// "file:line"; yaml-cpp counts from 0, and knows no place for nodes that do not exist.
std::string place(const std::string& file, const YAML::Mark& mark) {
  return mark.is_null() ? file : file + ":" + std::to_string(mark.line + 1);
}

class Reader {
 public:
  Reader(std::string file, FlagValues* values) : file_(std::move(file)), values_(values) {
    for (size_t i = 0; i < kFlags.size(); ++i) {
      std::string key = yaml_key(kFlags[i]);
      if (key.empty()) continue;
      keys_.push_back(key);
      flags_.push_back(i);
      for (size_t dot = key.find('.'); dot != std::string::npos; dot = key.find('.', dot + 1))
        maps_.insert(key.substr(0, dot));
    }
  }

  Status read(const YAML::Node& root) {
    if (root.IsNull() || !root.IsDefined()) return {};
    if (!root.IsMap()) return invalid(place(file_, root.Mark()) + ": is not a map of keys to values");
    return read_map(root, "");
  }

 private:
  Status read_map(const YAML::Node& map, const std::string& prefix) {
    std::set<std::string> seen;
    for (const auto& entry : map) {
      std::string at = place(file_, entry.first.Mark());
      if (!entry.first.IsScalar()) return invalid(at + ": a key is not a word");
      std::string key = prefix + entry.first.Scalar();
      if (!seen.insert(key).second) return invalid(at + ": " + key + ": is there twice");
      Status status =
          maps_.count(key) != 0 ? read_section(at, key, entry.second) : read_value(at, key, entry.second);
      if (!status.ok()) return status;
    }
    return {};
  }

  Status read_section(const std::string& at, const std::string& key, const YAML::Node& node) {
    if (node.IsNull()) return {};
    if (!node.IsMap()) return invalid(at + ": " + key + ": is not a map");
    return read_map(node, key + ".");
  }

  Status unknown(const std::string& at, const std::string& key) {
    std::string message = at + ": " + key + ": there is no such key";
    size_t flag = flag_index(key);
    std::string near;
    if (flag != kNoFlag && !yaml_key(kFlags[flag]).empty()) {
      near = yaml_key(kFlags[flag]);
    } else if (flag != kNoFlag && kFlags[flag].type != FlagType::kIgnored) {
      return invalid(message + "; --" + key + " is a flag only");
    } else {
      std::vector<std::string> known = keys_;
      known.insert(known.end(), maps_.begin(), maps_.end());
      near = nearest(key, known);
    }
    return invalid(message + (near.empty() ? "" : "; did you mean " + near + "?"));
  }

  Status read_value(const std::string& at, const std::string& key, const YAML::Node& node) {
    size_t i = 0;
    while (i < keys_.size() && keys_[i] != key) ++i;
    if (i == keys_.size()) return unknown(at, key);
    if (node.IsNull()) return {};
    const FlagRow& row = kFlags[flags_[i]];
    std::string where = at + ": " + key;
    std::string text;
    if (node.IsSequence() && row.type == FlagType::kList) {
      for (const YAML::Node& item : node) {
        if (!item.IsScalar())
          return invalid(place(file_, item.Mark()) + ": " + key + ": is not a list of words");
        text += (text.empty() ? "" : ",") + item.Scalar();
      }
    } else if (node.IsScalar()) {
      text = node.Scalar();
    } else {
      return invalid(where + ": is not a " + (row.type == FlagType::kList ? "list" : "single value"));
    }
    if (row.type == FlagType::kDuration) {
      if (!parse_signed(text))
        return invalid(where + ": " + in_quotes(text) + " is not a whole number of nanoseconds");
      text += "ns";
    }
    if (row.type == FlagType::kBool) text = boolean(text);
    return set(flags_[i], text, at, where);
  }

  // The file's line is what the operator looks for; the error of set() begins with it.
  Status set(size_t index, const std::string& text, const std::string& at, const std::string& where) {
    FlagValues trial;
    if (Status s = trial.set(index, text, FlagSource::kFile, where); !s.ok()) return s;
    return values_->set(index, text, FlagSource::kFile, at);
  }

  // YAML 1.1 knows more words for it than the command line.
  static std::string boolean(const std::string& text) {
    for (const char* yes : {"yes", "Yes", "YES", "on", "On", "ON", "y", "Y"})
      if (text == yes) return "true";
    for (const char* no : {"no", "No", "NO", "off", "Off", "OFF", "n", "N"})
      if (text == no) return "false";
    return text;
  }

  const std::string file_;
  FlagValues* values_;
  std::vector<std::string> keys_;
  std::vector<size_t> flags_;
  std::set<std::string> maps_;
};

}  // namespace

Status apply_yaml(const std::string& text, const std::string& name, FlagValues* values) {
  try {
    return Reader(name, values).read(YAML::Load(text));
  } catch (const YAML::Exception& error) {
    return invalid(place(name, error.mark) + ": is not YAML: " + error.msg);
  } catch (const std::exception& error) {
    return invalid(name + ": is not YAML: " + error.what());
  }
}

Status apply_yaml_file(const std::string& path, FlagValues* values) {
  std::string text;
  Status status = read_text_file(path, &text);
  return status.ok() ? apply_yaml(text, path, values)
                     : Status(status.code(), "--config-file: " + std::string(status.text()));
}

Status parse_rotation(const std::string& json, LogRotation* out) {
  std::string complaint = in_quotes(json) + ": ";
  try {
    YAML::Node root = YAML::Load(json);
    if (!root.IsMap()) return invalid(complaint + "is not a JSON object");
    for (const auto& entry : root) {
      if (!entry.first.IsScalar() || !entry.second.IsScalar())
        return invalid(complaint + "its values are numbers and booleans");
      std::string key = entry.first.Scalar();
      for (char& c : key) c = static_cast<char>(std::tolower(c));  // as Go reads JSON
      const std::string& value = entry.second.Scalar();
      bool is_switch = key == "localtime" || key == "compress";
      std::optional<bool> on = parse_bool(value);
      std::optional<uint64_t> number = parse_unsigned(value);
      constexpr uint64_t kMost = 1u << 30;
      if (is_switch ? !on : !number || *number > kMost)
        return invalid(complaint + key + ": " + in_quotes(value) + " is not a " +
                       (is_switch ? "boolean" : "number"));
      if (key == "maxsize")
        out->max_bytes = (*number == 0 ? 100 : *number) << 20;
      else if (key == "maxage")
        out->max_age_days = *number;
      else if (key == "maxbackups")
        out->max_backups = *number;
      else if (key == "localtime")
        out->local_time = *on;
      else if (key != "compress")
        return invalid(complaint + key + ": there is no such key");
      else if (*on)
        return invalid(complaint + "compress: old files are not compressed");
    }
    return {};
  } catch (const std::exception& error) {
    return invalid(complaint + "is not JSON: " + error.what());
  }
}

}  // namespace quorate::host
