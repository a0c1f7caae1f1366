#include "sdk_source.h"

#include <cctype>

#include "abi_fixture.h"

namespace quorate::host::test {
namespace {

bool is_word(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; }

// Without comments and preprocessor lines, every run of white space one blank.
std::string stripped(const std::string& text) {
  std::string out;
  bool line_begins = true;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text.compare(i, 2, "//") == 0 || (line_begins && text[i] == '#')) {
      while (i < text.size() && (text[i] != '\n' || text[i - 1] == '\\')) ++i;
    }
    if (i >= text.size()) break;
    if (text[i] == '\n')
      line_begins = true;
    else if (text[i] != ' ')
      line_begins = false;
    char c = text[i] == '\n' ? ' ' : text[i];
    if (c != ' ' || (!out.empty() && out.back() != ' ')) out += c;
  }
  return out;
}

std::string trimmed(std::string s) {
  while (!s.empty() && s.back() == ' ') s.pop_back();
  while (!s.empty() && s.front() == ' ') s.erase(0, 1);
  return s;
}

// Where the block that opens at `open` closes.
size_t closing(const std::string& text, size_t open) {
  int depth = 0;
  for (size_t i = open; i < text.size(); ++i) {
    if (text[i] == '{') ++depth;
    if (text[i] == '}' && --depth == 0) return i;
  }
  ADD_FAILURE() << "a block without an end";
  return text.size() - 1;
}

// The statements of a body, without what is in inner blocks.
std::vector<std::string> statements(const std::string& body) {
  std::vector<std::string> all;
  std::string current;
  for (size_t i = 0; i < body.size(); ++i) {
    if (body[i] == '{') {
      bool is_function = current.find('(') != std::string::npos;
      i = closing(body, i);
      if (is_function)
        current.clear();
      else
        current += "{}";
    } else if (body[i] == ';') {
      all.push_back(trimmed(current));
      current.clear();
    } else {
      current += body[i];
    }
  }
  return all;
}

std::string without_access(std::string s) {
  for (const char* access : {"public:", "protected:", "private:"})
    if (s.rfind(access, 0) == 0) s = trimmed(s.substr(std::strlen(access)));
  return s;
}

void read_members(const std::string& body, SdkType* type) {
  for (std::string s : statements(body)) {
    s = without_access(s);
    for (const char* skipped : {"static ", "using ", "friend ", "struct ", "enum ", "virtual ~", "~"})
      if (s.rfind(skipped, 0) == 0) s.clear();
    if (s.empty()) continue;
    if (s.rfind("virtual ", 0) == 0) {
      size_t pure = s.rfind(" = 0");
      EXPECT_NE(pure, std::string::npos) << type->name << ": only pure virtual functions may cross: " << s;
      type->virtuals.push_back(s.substr(8, pure - 8));
      continue;
    }
    s = trimmed(s.substr(0, s.find('=')));
    s = trimmed(s.substr(0, s.find('[')));
    if (s.size() > 2 && s.compare(s.size() - 2, 2, "{}") == 0) s = trimmed(s.substr(0, s.size() - 2));
    if (size_t pointer = s.find("(*"); pointer != std::string::npos) {  // to a function
      type->fields.push_back(s.substr(pointer + 2, s.find(')', pointer) - pointer - 2));
      continue;
    }
    if (s.find('(') != std::string::npos) continue;
    size_t begin = s.size();
    while (begin != 0 && is_word(s[begin - 1])) --begin;
    if (begin != s.size() && begin != 0) type->fields.push_back(s.substr(begin));
  }
}

void read_text(const std::string& text, SdkSource* out) {
  for (size_t i = 0; i < text.size(); ++i) {
    if (i != 0 && is_word(text[i - 1])) continue;
    size_t open = text.find_first_of("{;(", i);
    if (open == std::string::npos || text[open] != '{') continue;
    if (text.compare(i, 5, "enum ") == 0) {
      size_t end = closing(text, open);
      out->enums.push_back(trimmed(text.substr(i, end + 1 - i)));
      i = end;
    } else if (text.compare(i, 6, "class ") == 0 || text.compare(i, 7, "struct ") == 0) {
      size_t end = closing(text, open);
      std::string head = trimmed(text.substr(i, open - i));
      head = trimmed(head.substr(head.find(' ')));
      if (head.rfind("[[nodiscard]] ", 0) == 0) head = head.substr(14);
      SdkType type;
      size_t colon = head.find(" : public ");
      type.name = head.substr(0, colon);
      if (colon != std::string::npos) type.base = head.substr(colon + 10);
      bool is_template = i >= 2 && text[i - 2] == '>';
      read_members(text.substr(open + 1, end - open - 1), &type);
      if (!is_template) out->types.push_back(type);
      i = end;
    }
  }
}

}  // namespace

const SdkType* SdkSource::find(const std::string& name) const {
  for (const SdkType& t : types)
    if (t.name == name) return &t;
  return nullptr;
}

SdkSource read_sdk_source(const std::string& source_dir) {
  SdkSource out;
  for (const char* header : {"base.h", "abi.h", "host.h", "storage.h", "transport.h", "auth.h"}) {
    std::string text = contents_of(source_dir + "/core/include/quorate/plugin/" + header);
    EXPECT_FALSE(text.empty()) << header;
    read_text(stripped(text), &out);
  }
  return out;
}

std::string function_name(const std::string& declaration) {
  size_t end = declaration.find('('), begin = end;
  while (begin != 0 && is_word(declaration[begin - 1])) --begin;
  return declaration.substr(begin, end - begin);
}

}  // namespace quorate::host::test
