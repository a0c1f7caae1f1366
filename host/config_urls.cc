#include "host/config_urls.h"

#include <arpa/inet.h>

#include <algorithm>

#include "host/flags_values.h"

namespace quorate::host {

using plugin::Code;
using plugin::Status;

namespace {

Status invalid(const std::string& text) { return Status(Code::kInvalid, text); }

std::string_view trimmed(std::string_view text) {
  constexpr char kBlanks[] = " \t\r\n";
  size_t begin = text.find_first_not_of(kBlanks);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kBlanks) - begin + 1);
}

bool is_port(std::string_view text) {
  std::optional<uint64_t> port = parse_unsigned(text);
  return port && *port <= 65535 && text.find_first_not_of("0123456789") == std::string_view::npos;
}

// "host:port" or "[v6]:port".
Status split_authority(std::string_view authority, Url* out) {
  Status malformed = invalid("URL address does not have the form \"host:port\": " + out->text);
  size_t colon = authority.rfind(':');
  if (colon == std::string_view::npos) return malformed;
  std::string_view host = authority.substr(0, colon);
  if (!host.empty() && host.front() == '[') {
    if (host.back() != ']') return malformed;
    host = host.substr(1, host.size() - 2);
  } else if (host.find(':') != std::string_view::npos) {
    return malformed;
  }
  out->host = host;
  out->port = authority.substr(colon + 1);
  if (!is_port(out->port)) return invalid("the port is not a number from 0 to 65535: " + out->text);
  return {};
}

bool is_ip(const std::string& host) {
  unsigned char bytes[sizeof(in6_addr)];
  return inet_pton(AF_INET, host.c_str(), bytes) == 1 || inet_pton(AF_INET6, host.c_str(), bytes) == 1;
}

}  // namespace

std::string Url::address() const {
  if (is_unix()) return "unix:" + path;
  return (host.find(':') == std::string::npos ? host : "[" + host + "]") + ":" + port;
}

Status parse_url(std::string_view given, Url* out) {
  std::string_view text = trimmed(given);
  *out = {};
  out->text = text;
  for (char c : text)
    if (static_cast<unsigned char>(c) <= 0x20 || c == 0x7f)
      return invalid("a URL must not contain blanks: " + in_quotes(text));
  size_t colon = text.find(':');
  if (colon != std::string_view::npos) out->scheme = text.substr(0, colon);
  for (char& c : out->scheme) c = static_cast<char>(std::tolower(c));
  bool is_known = out->scheme == "http" || out->scheme == "https" || out->is_unix();
  if (!is_known) return invalid("URL scheme must be http, https, unix, or unixs: " + out->text);
  std::string_view rest = text.substr(colon + 1);
  bool has_authority = rest.substr(0, 2) == "//";
  if (out->is_unix()) {
    if (has_authority) rest.remove_prefix(2);
    if (rest.empty() || (!has_authority && rest[0] != '/'))
      return invalid("URL does not name a socket: " + out->text);
    out->path = rest;
    return {};
  }
  if (!has_authority) return invalid("URL address does not have the form \"host:port\": " + out->text);
  rest.remove_prefix(2);
  if (rest.find('/') != std::string_view::npos) return invalid("URL must not contain a path: " + out->text);
  if (rest.find_first_of("?#@") != std::string_view::npos)
    return invalid("URL must be of the form http://host:port, no more: " + out->text);
  return split_authority(rest, out);
}

Status parse_urls(std::string_view text, std::vector<Url>* out) {
  out->clear();
  for (const std::string& part : split_list(text)) {
    Url url;
    if (Status s = parse_url(part, &url); !s.ok()) return s;
    out->push_back(std::move(url));
  }
  std::sort(out->begin(), out->end(), [](const Url& a, const Url& b) { return a.text < b.text; });
  auto same = [](const Url& a, const Url& b) { return a.text == b.text; };
  out->erase(std::unique(out->begin(), out->end(), same), out->end());
  return {};
}

std::vector<std::string> texts_of(const std::vector<Url>& urls) {
  std::vector<std::string> texts;
  for (const Url& url : urls) texts.push_back(url.text);
  return texts;
}

Status check_bind_url(const Url& url) {
  if (url.is_unix() || url.host == "localhost" || is_ip(url.host)) return {};
  return invalid("expected IP in URL for binding (" + url.text + ")");
}

Status parse_members(std::string_view text, Members* out) {
  out->clear();
  for (const std::string& part : split_list(text)) {
    if (part.empty()) continue;
    size_t equals = part.find('=');
    if (equals == std::string::npos) return invalid(in_quotes(part) + " is not of the form NAME=URL");
    std::string name = part.substr(0, equals);
    Url url;
    if (Status s = parse_url(part.substr(equals + 1), &url); !s.ok()) return s;
    auto named = [&](const auto& member) { return member.first == name; };
    auto member = std::find_if(out->begin(), out->end(), named);
    if (member == out->end()) member = out->insert(out->end(), {name, {}});
    member->second.push_back(std::move(url));
  }
  return {};
}

bool same_places(const std::vector<Url>& a, const std::vector<Url>& b) {
  auto places = [](const std::vector<Url>& urls) {
    std::vector<std::string> all;
    for (Url url : urls) {
      if (url.host == "localhost") url.host = "127.0.0.1";
      all.push_back(url.scheme + " " + url.address());
    }
    std::sort(all.begin(), all.end());
    return all;
  };
  return places(a) == places(b);
}

}  // namespace quorate::host
