// A model's configuration: Triton's config.pbtxt, completed from the model file, with Tessera's own keys as parameters.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
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
  std::string platform;             // "onnxruntime_onnx"
  std::string default_model_file;   // "model.onnx"
  VersionPolicy versions;
  ModelSignature signature;
  sched::ModelParams params;
  std::vector<WarmupSample> warmup;
  std::vector<std::pair<std::string, std::string>> label_files;  // (output, file under the model's folder)
  std::optional<Bytes> memory_limit;
  std::string determinism = "off";
};

inline constexpr std::size_t kMaxConfigBytes = 1 << 20;

// Parses config.pbtxt text. Error: kInvalidArgument naming line and field for what is malformed; kUnsupported naming
// the field for what this build does not do.
Result<std::shared_ptr<inference::ModelConfig>> parse_config_text(std::string_view text);
// The same from the JSON form (load requests may carry it).
Result<std::shared_ptr<inference::ModelConfig>> parse_config_json(std::string_view json);

struct ConfigDefaults {
  std::optional<Duration> slo;  // --default-slo-ms
  std::string device_kind;      // "host" or "cuda": what instance_group kinds are honoured
};

// Completes `proto` (which may be empty) for the model `name` from what its file says, checks that the two agree and
// that everything asked for can be honoured.
Result<ModelConfig> complete_config(std::string_view name, const inference::ModelConfig& proto,
                                    const engine::FileSignature& file, const ConfigDefaults& defaults);

// "{...}" in Triton's field names, every field present: the body of GET .../config.
std::string config_json(const ModelConfig& config);

}  // namespace tessera::model
