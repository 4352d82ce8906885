// A model's configuration: Triton's config.pbtxt, completed from the model file, with Tessera's own keys as parameters.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "core/shape_buckets.h"
#include "core/tensor.h"
#include "engine/engine.h"
#include "sched/model_params.h"

namespace inference {
class ModelConfig;  // proto/model_config.proto
}

namespace tessera::model {

struct VersionPolicy {
  enum class Kind { kLatest, kAll, kSpecific };
  Kind kind = Kind::kLatest;
  std::uint32_t latest = 1;
  std::vector<std::int64_t> specific;
};

struct WarmupSample {
  std::string name;
  std::uint32_t batch_size = 1;
  std::uint32_t count = 1;
  enum class Fill { kZero, kRandom, kFile };
  struct Input {
    std::string name;
    DType dtype;
    Shape shape;
    Fill fill;
    std::string file;  // under <model>/warmup/, for kFile
  };
  std::vector<Input> inputs;
};

// Immutable.
struct ModelConfig {
  std::shared_ptr<const inference::ModelConfig> proto;  // completed; what the config endpoints show
  std::string name;
  std::string platform;            // "onnxruntime_onnx"
  std::string default_model_file;  // as configured; empty: "model.onnx", or the only .onnx file there is
  VersionPolicy versions;
  ModelSignature signature;
  sched::ModelParams params;
  std::vector<WarmupSample> warmup;
  std::vector<std::pair<std::string, std::string>> label_files;  // (output, file under the model's folder)
  std::optional<Bytes> memory_limit;  // of what the engine holds for the model: weights and homes
  // What does not change a request's bits. "off": neither do slices, as long as a model is loaded. "slice": nor do
  // loads and replicas, since nothing is chosen by timing it. "batch": nor does how many are joined, since all batches
  // are padded to the largest size.
  std::string determinism = "off";
  // By input: how requests give it, where that is not how the file has it; the signature says it as requests do.
  std::map<std::string, engine::InputForm> input_forms;
  ShapeBuckets shape_buckets;
  bool evictable = false;  // may leave its device while idle, and comes back at its next request
  // Found while it was loaded: why its device cannot capture it. It then runs in one slice and one lane, launched anew
  // for every batch. Empty: it does, or captures nothing.
  std::string uncaptured;
};

inline constexpr std::size_t kMaxConfigBytes = 1 << 20;
inline constexpr int kMaxConfigDepth = 32;  // of nested messages, objects and arrays
inline constexpr std::int32_t kMaxBatchSize = 65536;
inline constexpr std::int32_t kMaxLanes = 64;
inline constexpr std::size_t kMaxTensors = 4096;  // inputs and outputs of one model, each
inline constexpr std::int32_t kAutomaticBatchSize = 8;
inline constexpr std::uint16_t kDefaultLanes = 2;
inline constexpr std::uint64_t kMaxPriorityLevels = 1024;
inline constexpr std::size_t kMaxWarmupRuns = 10000;        // of one model, all samples
inline constexpr std::uint64_t kMaxWarmupBytes = 64 << 20;  // of one sample's inputs
inline constexpr std::uint32_t kMaxVersions = 1024;         // of one model

// What somebody wrote, before it is completed. Immutable.
struct WrittenConfig {
  std::shared_ptr<const inference::ModelConfig> proto;
  bool says_batch_size = false;  // also where it says max_batch_size: 0, which the message cannot tell from nothing
};

// Parses config.pbtxt text. Error: kTooLarge; kInvalidArgument naming line and field for what is malformed.
Result<WrittenConfig> parse_config_text(std::string_view text);
// The same from the JSON form (load requests may carry it).
Result<WrittenConfig> parse_config_json(std::string_view json);

struct ConfigDefaults {
  std::optional<Duration> slo;  // --default-slo-ms
  std::string device_kind;      // "host" or "cuda": what instance_group kinds are honoured
  std::function<std::size_t()> devices = [] { return std::size_t{1}; };  // how many; what instance_group gpus may name
  // The name of the scheduler's policy, where it heeds neither weights nor shares; else, or without a function, none.
  // Asked by every load.
  std::function<std::string()> policy_without_shares{};
  std::string engine = "onnxruntime";  // the one that `parameters.engine` may name
};

// Completes `written` (which may be empty) for the model `name` from what its file says, checks that the two agree and
// that everything asked for can be honoured. Error: kInvalidArgument for what is wrong, kUnsupported for what this
// build does not do; both name the field.
Result<ModelConfig> complete_config(std::string_view name, const WrittenConfig& written,
                                    const engine::FileSignature& file, const ConfigDefaults& defaults);

// The part of it that is needed before any file is opened. Error: as complete_config.
struct FileChoice {
  VersionPolicy versions;
  std::string default_model_file;  // empty: "model.onnx", or the only .onnx file there is
};
Result<FileChoice> choose_files(std::string_view name, const inference::ModelConfig& proto);

// "{...}" in Triton's field names, every field present: the body of GET .../config.
std::string config_json(const inference::ModelConfig& proto);

}  // namespace tessera::model
