// URLs as etcd's flags have them: http://host:port, unix:///path, and the same with TLS.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "quorate/plugin/base.h"

namespace quorate::host {

struct Url {
  std::string scheme;  // http, https, unix, unixs
  std::string host;    // without brackets; unix: empty
  std::string port;
  std::string path;  // unix only: the socket; relative when the URL had it after "//"
  std::string text;  // as given, without blanks around

  bool is_unix() const { return scheme == "unix" || scheme == "unixs"; }
  bool is_secure() const { return scheme == "https" || scheme == "unixs"; }
  // As resolve() of address.h takes it.
  std::string address() const;
};

plugin::Status parse_url(std::string_view text, Url* out);
// Comma-separated; sorted, without repetitions. Empty text: none.
plugin::Status parse_urls(std::string_view text, std::vector<Url>* out);
std::vector<std::string> texts_of(const std::vector<Url>& urls);

// Listening needs an IP, localhost or a socket, no other name.
plugin::Status check_bind_url(const Url& url);

// "a=http://1.1.1.1:2380,b=..."; a name may come again with another URL. In the order of the names' first
// coming.
using Members = std::vector<std::pair<std::string, std::vector<Url>>>;
plugin::Status parse_members(std::string_view text, Members* out);
// Whether two lists of URLs mean the same places; localhost is 127.0.0.1.
bool same_places(const std::vector<Url>& a, const std::vector<Url>& b);

}  // namespace quorate::host
