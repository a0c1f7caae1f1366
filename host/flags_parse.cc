#include "host/flags_parse.h"

#include <unistd.h>

#include <boost/program_options/options_description.hpp>
#include <boost/program_options/parsers.hpp>

namespace quorate::host {
namespace {

namespace po = boost::program_options;
using plugin::Status;

// Carries a refusal out of Boost's parser.
struct Refused {
  FlagError error;
};

constexpr char kHelp[] = "help";
// Stands for the first word that is no flag, and everything after it.
constexpr char kRest[] = "rest";

std::string hint_for(const std::string& name) {
  for (const RemovedFlag& removed : kRemovedFlags)
    if (name == removed.name) return std::string("; ") + removed.advice;
  constexpr std::string_view kExperimental = "experimental-";
  std::string stripped = name.compare(0, kExperimental.size(), kExperimental) == 0
                             ? name.substr(kExperimental.size())
                             : std::string();
  if (flag_index(stripped) != kNoFlag) return "; it is --" + stripped + " since etcd 3.6";
  std::string near = nearest_flag(name);
  return near.empty() ? "" : "; did you mean --" + near + "?";
}

[[noreturn]] void refuse(std::string message) { throw Refused{{2, std::move(message), {}}}; }

po::option make_option(const std::string& key, std::string value) {
  po::option option;
  option.string_key = key;
  option.value.push_back(std::move(value));
  return option;
}

// Takes one flag, by Go's rules, off the front of `arguments`. Boost gives it what is left, again and again.
std::vector<po::option> take_flag(std::vector<std::string>& arguments) {
  std::string word = arguments.front();
  if (word.size() < 2 || word[0] != '-' || word == "--") {
    if (word == "--") arguments.erase(arguments.begin());
    if (arguments.empty()) return {make_option(kRest, "")};
    std::string first = arguments.front();
    arguments.clear();
    return {make_option(kRest, first)};
  }
  arguments.erase(arguments.begin());
  std::string body = word.substr(word[1] == '-' ? 2 : 1);
  if (body.empty() || body[0] == '-' || body[0] == '=') refuse("bad flag syntax: " + word);
  size_t equals = body.find('=');
  std::string name = body.substr(0, equals);
  size_t index = flag_index(name);
  if (index == kNoFlag) {
    if (name == "h" || name == kHelp) return {make_option(kHelp, "true")};
    throw po::unknown_option(name);
  }
  if (equals != std::string::npos) return {make_option(name, body.substr(equals + 1))};
  FlagType type = kFlags[index].type;
  if (type == FlagType::kBool || type == FlagType::kIgnored) return {make_option(name, "true")};
  if (arguments.empty()) refuse("--" + name + ": needs a value");
  std::string value = arguments.front();
  arguments.erase(arguments.begin());
  return {make_option(name, value)};
}

const po::options_description& description() {
  static const po::options_description* all = [] {
    auto* made = new po::options_description;
    for (const FlagRow& row : kFlags) made->add_options()(row.name, po::value<std::string>(), row.help);
    made->add_options()(kHelp, po::value<std::string>())(kRest, po::value<std::string>());
    return made;
  }();
  return *all;
}

void apply(const po::parsed_options& parsed, CommandLine* out) {
  for (const po::option& option : parsed.options) {
    const std::string& value = option.value.front();
    if (option.string_key == kHelp) {
      out->help = true;
      return;
    }
    if (option.string_key == kRest) {
      if (value.empty()) continue;
      throw Refused{{1, in_quotes(value) + " is not a valid flag", {}}};
    }
    size_t index = flag_index(option.string_key);
    if (kFlags[index].type == FlagType::kIgnored)
      out->notices.push_back({Notice::Level::kWarn,
                              "flag is no longer supported - ignoring",
                              {{"flag-name", option.string_key}}});
    Status status = out->values.set(index, value, FlagSource::kFlag, "--" + option.string_key);
    if (!status.ok()) refuse(status.text());
  }
}

}  // namespace

FlagError parse_command_line(const std::vector<std::string>& arguments, CommandLine* out) {
  try {
    // Boost wants a style, though take_flag leaves nothing for its own parsers.
    constexpr int kStyle = po::command_line_style::allow_long | po::command_line_style::long_allow_adjacent;
    po::command_line_parser parser(arguments);
    parser.options(description()).style(kStyle).extra_style_parser(take_flag);
    apply(parser.run(), out);
    return {};
  } catch (const Refused& refused) {
    return refused.error;
  } catch (const po::unknown_option& unknown) {
    std::string name = unknown.get_option_name();
    name.erase(0, name.find_first_not_of('-'));
    return {2, "--" + name + ": there is no such flag" + hint_for(name), {}};
  } catch (const po::error& error) {
    return {2, error.what(), {}};
  }
}

FlagError apply_environment(const Environment& environment, FlagValues* values,
                            std::vector<Notice>* notices) {
  for (const auto& [name, value] : environment) {
    bool ours = name.compare(0, 8, "QUORATE_") == 0;
    if (!ours && name.compare(0, 5, "ETCD_") != 0) continue;
    if (name == "ETCD_UNSUPPORTED_ARCH") continue;
    if (name == "ETCD_VERSION") {
      if (!value.empty())
        notices->push_back({Notice::Level::kWarn,
                            "cannot set special environment variable",
                            {{"key", name}, {"value", value}}});
      continue;
    }
    size_t index = 0;
    while (index < kFlags.size() &&
           (env_name(kFlags[index]) != name || kFlags[index].type == FlagType::kIgnored))
      ++index;
    if (index == kFlags.size()) {
      // QUORATE_* may also be a script's own.
      if (!ours)
        notices->push_back({Notice::Level::kWarn,
                            "unrecognized environment variable",
                            {{"environment-variable", name + "=" + value}}});
      continue;
    }
    if (values->at(index).source == FlagSource::kFlag)
      return {1,
              "conflicting environment variable is shadowed by corresponding command-line flag (either unset "
              "environment variable or disable flag))",
              {{"environment-variable", name}}};
    if (value.empty()) continue;
    if (Status s = values->set(index, value, FlagSource::kEnvironment, name); !s.ok())
      return {1, s.text(), {}};
    notices->push_back({Notice::Level::kInfo,
                        "recognized and used environment variable",
                        {{"variable-name", name}, {"variable-value", value}}});
  }
  return {};
}

Environment process_environment() {
  Environment all;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    std::string_view text = *entry;
    size_t equals = text.find('=');
    if (equals == std::string_view::npos) continue;
    all.emplace_back(text.substr(0, equals), text.substr(equals + 1));
  }
  return all;
}

}  // namespace quorate::host
