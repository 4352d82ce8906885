// How a batch runs through ONNX Runtime in one slice.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "device/host/host_plan.h"
#include "engine/engine.h"
#include "engine/onnxruntime/copy_counter.h"
#include "engine/onnxruntime/environment.h"

namespace tessera::engine {

// What all plans of a model know. Immutable.
struct PlanFacts {
  FileSignature signature;
  std::int32_t max_batch_size = 0;
  std::vector<const char*> input_names;  // of the signature's strings
  std::vector<const char*> output_names;
  std::shared_ptr<const Environment> environment;
  std::shared_ptr<CopyCounter> copies;
};

// Immutable; runs of one plan may overlap. Runs exactly the batch's rows: a bucket needs no padding here.
class OnnxPlan final : public device::HostPlan {
 public:
  // Both must outlive the plan. `facts` and `session` outlive every output, too, unless ONNX Runtime owns its bytes.
  OnnxPlan(const PlanFacts& facts, Ort::Session& session) : facts_(facts), session_(session) {}

  Status run(const Slice& slice, Batch& batch) const override;

 private:
  class Inputs;
  class Outputs;

  const PlanFacts& facts_;
  Ort::Session& session_;
};

}  // namespace tessera::engine
