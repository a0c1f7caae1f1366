// What the SDK's headers declare, read from their text: enough of C++ for the style these headers are written
// in.
#pragma once

#include <map>
#include <string>
#include <vector>

namespace quorate::host::test {

struct SdkType {
  std::string name;
  std::string base;  // "Object", or empty
  std::vector<std::string>
      virtuals;  // pure virtual functions, in order: "Status write(View<WriteOp> batch, …) noexcept"
  std::vector<std::string> fields;  // names of data members, in order
};

struct SdkSource {
  std::vector<SdkType> types;      // classes and structs that are not templates, in order
  std::vector<std::string> enums;  // "enum Code : uint32_t { kOk = 0, … }"
  const SdkType* find(const std::string& name) const;
};

// Reads the headers of folder core/include/quorate/plugin that have something to say about layout.
SdkSource read_sdk_source(const std::string& source_dir);

// The name of the function that a declaration declares.
std::string function_name(const std::string& declaration);

}  // namespace quorate::host::test
