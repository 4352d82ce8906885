#include "model/repository.h"

#include <algorithm>
#include <charconv>
#include <set>

#include "model/confined_path.h"
#include "model/digest.h"
#include "model/utf8.h"

namespace tessera::model {
namespace {

namespace fs = std::filesystem;

struct Entry {
  std::string name;
  bool folder = false;  // links followed
};

// The entries of a folder by name, without hidden ones. Dangling links are left out.
Result<std::vector<Entry>> entries_of(const fs::path& folder) {
  std::error_code error;
  std::vector<Entry> entries;
  fs::directory_iterator at(folder, error);
  for (; !error && at != fs::directory_iterator(); at.increment(error)) {
    std::string name = at->path().filename().string();
    std::error_code broken;
    const fs::file_status status = at->status(broken);
    if (name.front() == '.' || broken || !fs::exists(status)) {
      continue;
    }
    if (entries.size() == kMaxFolderEntries) {
      return Error(ErrorCode::kTooLarge,
                   "'" + folder.string() + "' has more than " + std::to_string(kMaxFolderEntries) + " entries");
    }
    entries.push_back({std::move(name), fs::is_directory(status)});
  }
  if (error) {
    return not_found("cannot read '" + folder.string() + "': " + error.message());
  }
  std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) { return a.name < b.name; });
  return entries;
}

bool is_onnx(std::string_view name) { return name.size() > 5 && name.substr(name.size() - 5) == ".onnx"; }

// The name of a model that the entry of a repository is, if it is one.
std::optional<std::string> model_name(const Entry& entry) {
  if (entry.folder) return entry.name;
  if (is_onnx(entry.name)) return entry.name.substr(0, entry.name.size() - 5);
  return std::nullopt;
}

// The number that a version folder's name stands for; as in Triton, none for anything but plain digits.
std::optional<std::int64_t> version_number(std::string_view name) {
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), number);
  if (error != std::errc() || end != name.data() + name.size() || number < 1 || name.front() == '0') {
    return std::nullopt;
  }
  return number;
}

Result<fs::path> real_root(const fs::path& repository) {
  std::error_code error;
  fs::path root = fs::canonical(repository, error);
  if (!error && !fs::is_directory(root, error) && !error) error = std::make_error_code(std::errc::not_a_directory);
  if (error) {
    return not_found("model repository '" + repository.string() + "': " + error.message());
  }
  return root;
}

// The only .onnx file among the entries.
Result<std::string> only_onnx(const std::vector<Entry>& entries, const fs::path& folder) {
  std::string found;
  for (const Entry& entry : entries) {
    if (entry.folder || !is_onnx(entry.name)) continue;
    if (!found.empty()) {
      return invalid_argument("'" + folder.string() + "' has more than one .onnx file: name one model.onnx, or set " +
                              "default_model_filename");
    }
    found = entry.name;
  }
  if (found.empty()) {
    return not_found("'" + folder.string() + "' has no .onnx file");
  }
  return found;
}

Result<ModelFolder> read_folder(const fs::path& root, std::string_view name) {
  ModelFolder model{std::string(name), root, {}, {}, {}};
  TESSERA_ASSIGN_OR_RETURN(model.folder, confine(root, root / name));
  TESSERA_ASSIGN_OR_RETURN(const auto entries, entries_of(model.folder));
  for (const Entry& entry : entries) {
    if (const auto number = version_number(entry.name); number && entry.folder) {
      model.versions.push_back(*number);
    }
  }
  if (model.versions.size() > kMaxVersions) {
    return Error(ErrorCode::kTooLarge,
                 "model '" + model.name + "' has more than " + std::to_string(kMaxVersions) + " versions");
  }
  std::sort(model.versions.begin(), model.versions.end());
  if (model.versions.empty()) {
    const auto only = only_onnx(entries, model.folder);
    if (!only.ok() && only.error().code() == ErrorCode::kNotFound) {
      return invalid_argument("model '" + model.name + "' has neither a version folder nor an .onnx file");
    }
    TESSERA_ASSIGN_OR_RETURN(const std::string file, only);
    model.file = model.folder / file;
    model.versions = {1};
  }
  return model;
}

std::string describe(const FileStamp& stamp) {
  std::string text = stamp.path.string();
  for (const std::uint64_t part : {stamp.device, stamp.inode, stamp.size, static_cast<std::uint64_t>(stamp.modified_ns),
                                   static_cast<std::uint64_t>(stamp.changed_ns)}) {
    text += ' ' + std::to_string(part);
  }
  return text;
}

}  // namespace

Result<std::vector<std::string>> model_names(const fs::path& repository) {
  TESSERA_ASSIGN_OR_RETURN(const fs::path root, real_root(repository));
  TESSERA_ASSIGN_OR_RETURN(const auto entries, entries_of(root));
  std::set<std::string> names;
  for (const Entry& entry : entries) {
    if (auto name = model_name(entry); name && is_utf8(*name)) names.insert(std::move(*name));
  }
  if (names.size() > kMaxModels) {
    return Error(ErrorCode::kTooLarge, "model repository '" + repository.string() + "' has more than " +
                                           std::to_string(kMaxModels) + " models");
  }
  return std::vector<std::string>(names.begin(), names.end());
}

Result<ModelFolder> find_model(std::span<const fs::path> repositories, std::string_view name) {
  if (!is_plain_name(name) || name.front() == '.' || !is_utf8(name)) {
    return invalid_argument("'" + std::string(name.substr(0, 80)) + "' cannot be the name of a model");
  }
  std::optional<fs::path> folder_in;
  std::optional<fs::path> file_in;
  int found = 0;
  for (const fs::path& repository : repositories) {
    TESSERA_ASSIGN_OR_RETURN(const fs::path root, real_root(repository));
    std::error_code error;
    if (fs::is_directory(root / name, error)) {
      folder_in = root;
      ++found;
    }
    if (fs::is_regular_file(root / (std::string(name) + ".onnx"), error)) {
      file_in = root;
      ++found;
    }
  }
  if (found == 0) {
    return not_found("no model repository has a model '" + std::string(name) + "'");
  }
  if (found > 1) {
    return invalid_argument("model '" + std::string(name) + "' is in the model repositories more than once");
  }
  if (folder_in) {
    return read_folder(*folder_in, name);
  }
  return ModelFolder{std::string(name), *file_in, *file_in, *file_in / (std::string(name) + ".onnx"), {1}};
}

Result<std::optional<std::string>> read_config(const ModelFolder& model) {
  if (model.folder == model.root) {
    return std::optional<std::string>();
  }
  const fs::path path = model.folder / "config.pbtxt";
  std::error_code error;
  if (!fs::exists(fs::symlink_status(path, error))) {
    return std::optional<std::string>();
  }
  TESSERA_ASSIGN_OR_RETURN(const fs::path real, confine(model.root, path));
  TESSERA_ASSIGN_OR_RETURN(std::string text, read_file(real, Bytes{kMaxConfigBytes}));
  return std::optional<std::string>(std::move(text));
}

Result<std::vector<std::int64_t>> select_versions(const VersionPolicy& policy, const ModelFolder& model) {
  std::vector<std::int64_t> chosen;
  switch (policy.kind) {
    case VersionPolicy::Kind::kAll:
      chosen = model.versions;
      break;
    case VersionPolicy::Kind::kLatest:
      chosen.assign(model.versions.end() - std::min<std::ptrdiff_t>(policy.latest, std::ssize(model.versions)),
                    model.versions.end());
      break;
    case VersionPolicy::Kind::kSpecific:
      for (const std::int64_t version : policy.specific) {
        if (!std::binary_search(model.versions.begin(), model.versions.end(), version)) {
          return invalid_argument("version_policy.specific.versions: model '" + model.name + "' has no version " +
                                  std::to_string(version));
        }
        chosen.push_back(version);
      }
      break;
  }
  if (chosen.empty()) {
    return invalid_argument("model '" + model.name + "' has no version that its version_policy selects");
  }
  return chosen;
}

Result<VersionFiles> find_version(const ModelFolder& model, std::int64_t version, const std::string& file_name) {
  VersionFiles files;
  files.folder = model.folder;
  fs::path path;
  if (model.file) {
    path = *model.file;
    if (!file_name.empty()) path = model.folder / file_name;
  } else {
    TESSERA_ASSIGN_OR_RETURN(files.folder, confine(model.root, model.folder / std::to_string(version)));
    path = files.folder / (file_name.empty() ? "model.onnx" : file_name);
    std::error_code error;
    if (file_name.empty() && !fs::exists(fs::symlink_status(path, error))) {
      TESSERA_ASSIGN_OR_RETURN(const auto entries, entries_of(files.folder));
      TESSERA_ASSIGN_OR_RETURN(const std::string only, only_onnx(entries, files.folder));
      path = files.folder / only;
    }
  }
  TESSERA_RETURN_IF_ERROR(confine(model.root, path));
  files.model = path;
  TESSERA_ASSIGN_OR_RETURN(FileStamp stamp, stamp_of(path));
  if (stamp.size > kMaxOnnxBytes.value) {
    return Error(ErrorCode::kTooLarge, "'" + path.string() + "' has " + std::to_string(stamp.size) +
                                           " bytes; an .onnx file has at most " + std::to_string(kMaxOnnxBytes.value));
  }
  files.stamps.push_back(std::move(stamp));
  return files;
}

Status add_external(const std::vector<std::string>& locations, VersionFiles& files) {
  if (locations.size() > kMaxModelFiles) {
    return Error(ErrorCode::kTooLarge, "'" + files.model.string() + "' names more than " +
                                           std::to_string(kMaxModelFiles) + " files of external data");
  }
  std::uint64_t total = 0;
  for (const std::string& location : locations) {
    const std::string what =
        "'" + files.model.filename().string() + "' keeps external data in '" + location.substr(0, 256) + "', which ";
    if (location.empty() || location.find('\0') != std::string::npos || fs::path(location).is_absolute()) {
      return invalid_argument(what + "is no path inside its folder");
    }
    const auto real = confine(files.folder, files.folder / location);
    if (!real.ok()) {
      return invalid_argument(
          what + (real.error().code() == ErrorCode::kNotFound ? "is not there" : "lies outside of its folder"));
    }
    auto stamp = stamp_of(*real);
    if (!stamp.ok()) {
      return invalid_argument(what + "is no regular file");
    }
    total += stamp->size;
    if (total > kMaxExternalBytes.value) {
      return Error(ErrorCode::kTooLarge,
                   what + "makes more than " + std::to_string(kMaxExternalBytes.value) + " bytes in all");
    }
    files.stamps.push_back(std::move(*stamp));
  }
  return ok_status();
}

Result<std::vector<std::string>> read_labels(const ModelFolder& model, const std::string& file_name) {
  const auto real = confine(model.root, model.folder / file_name);
  const auto text = real.ok() ? read_file(*real, kMaxLabelBytes) : Result<std::string>(real.error());
  if (!text.ok()) {
    return text.error().in("label_filename");
  }
  if (!is_utf8(*text)) {
    return invalid_argument("label_filename: '" + file_name + "' is no UTF-8 text");
  }
  std::vector<std::string> labels;
  for (std::size_t start = 0; start < text->size();) {
    const std::size_t end = std::min(text->find('\n', start), text->size());
    std::string line = text->substr(start, end - start);
    if (!line.empty() && line.back() == '\r') line.pop_back();
    if (labels.size() == kMaxLabels) {
      return Error(ErrorCode::kTooLarge,
                   "label_filename: '" + file_name + "' has more than " + std::to_string(kMaxLabels) + " labels");
    }
    labels.push_back(std::move(line));
    start = end + 1;
  }
  return labels;
}

Result<std::string> fingerprint(const ModelFolder& model) {
  Sha256 sum;
  if (model.folder == model.root) {
    TESSERA_ASSIGN_OR_RETURN(const FileStamp stamp, stamp_of(*model.file));
    sum.add_text(describe(stamp));
    return sum.finish();
  }
  std::vector<fs::path> open{model.folder};
  std::set<fs::path> seen{model.folder};  // links may go in circles
  std::size_t entries_seen = 0;
  while (!open.empty()) {
    const fs::path folder = open.back();
    open.pop_back();
    TESSERA_ASSIGN_OR_RETURN(const auto entries, entries_of(folder));
    for (const Entry& entry : entries) {
      if (++entries_seen > kMaxFolderEntries) {
        return Error(ErrorCode::kTooLarge,
                     "model '" + model.name + "' has more than " + std::to_string(kMaxFolderEntries) + " files");
      }
      // What leads outside or is no regular file is refused when it is used, not here.
      const auto real = confine(model.root, folder / entry.name);
      if (!real.ok()) continue;
      sum.add_text((folder / entry.name).string());
      if (entry.folder) {
        if (seen.insert(*real).second) open.push_back(*real);
      } else if (const auto stamp = stamp_of(*real); stamp.ok()) {
        sum.add_text(describe(*stamp));
      }
    }
  }
  return sum.finish();
}

}  // namespace tessera::model
