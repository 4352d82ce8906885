// Model repositories: Triton's layout on disk, read without ever leaving it.
//
//   <repository>/<model>/config.pbtxt                 optional
//   <repository>/<model>/<version>/model.onnx         or the only .onnx file there, or what default_model_filename says
//   <repository>/<model>/<labels file>, warmup/<file> as the configuration names them
//   <repository>/<model>/<any>.onnx                   without version folders: the model's version 1
//   <repository>/<model>.onnx                         version 1 of a model without a folder
//
// Symbolic links are followed as long as they end inside the repository; what leads outside is refused. External data
// of a model must lie in its version folder.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "model/config.h"
#include "model/files.h"

namespace tessera::model {

inline constexpr std::size_t kMaxModels = 10000;  // of one repository
inline constexpr std::size_t kMaxFolderEntries = 100000;
inline constexpr std::size_t kMaxModelFiles = 4096;                  // external data of one version included
inline constexpr Bytes kMaxOnnxBytes{std::uint64_t{2} << 30};        // protobuf's own limit
inline constexpr Bytes kMaxExternalBytes{std::uint64_t{256} << 30};  // all external data of one version
inline constexpr Bytes kMaxLabelBytes{16 << 20};
inline constexpr std::size_t kMaxLabels = 1 << 20;

// Where a model lies. Immutable value; all paths are real ones.
struct ModelFolder {
  std::string name;
  std::filesystem::path root;                 // nothing outside of it is read
  std::filesystem::path folder;               // of a model without a folder: the root
  std::optional<std::filesystem::path> file;  // of a model without version folders: its only file
  std::vector<std::int64_t> versions;         // found, ascending
};

// One version's files. Immutable value.
struct VersionFiles {
  std::filesystem::path model;
  std::filesystem::path folder;   // where external data must lie
  std::vector<FileStamp> stamps;  // of the model file first, then of its external data
};

// The names of all models, sorted. Error: the repository cannot be read, or holds more than kMaxModels.
Result<std::vector<std::string>> model_names(const std::filesystem::path& repository);

// Looks `name` up in all repositories. Error: kNotFound; kInvalidArgument where more than one has it, its name or
// layout is wrong, or links lead outside.
Result<ModelFolder> find_model(std::span<const std::filesystem::path> repositories, std::string_view name);

// The text of config.pbtxt, if there is one.
Result<std::optional<std::string>> read_config(const ModelFolder& model);

// The versions that `policy` selects of those found, ascending. Error: kInvalidArgument where it selects none, or names
// one that is not there.
Result<std::vector<std::int64_t>> select_versions(const VersionPolicy& policy, const ModelFolder& model);

// Finds the model file of a version. Error: kNotFound, kInvalidArgument, kTooLarge.
Result<VersionFiles> find_version(const ModelFolder& model, std::int64_t version, const std::string& file_name);

// Adds the external data that the model file names. Error: kInvalidArgument for what lies outside the version's folder
// or is missing.
Status add_external(const std::vector<std::string>& locations, VersionFiles& files);

// The labels of a file in the model's folder, one a line.
Result<std::vector<std::string>> read_labels(const ModelFolder& model, const std::string& file_name);

// Stands for the names, sizes and times of everything in the model's folder: differs after any change.
Result<std::string> fingerprint(const ModelFolder& model);

}  // namespace tessera::model
