// A private folder that goes away with its owner.
#pragma once

#include <filesystem>
#include <memory>
#include <string_view>

#include "base/result.h"

namespace tessera::model {

// Immutable; readable by this user alone.
class TempFolder {
 public:
  // Under the system's folder for temporary files.
  static Result<std::shared_ptr<const TempFolder>> create();
  ~TempFolder();  // removes everything below
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;

  const std::filesystem::path& path() const { return path_; }  // a real one

 private:
  explicit TempFolder(std::filesystem::path path) : path_(std::move(path)) {}
  std::filesystem::path path_;
};

}  // namespace tessera::model
