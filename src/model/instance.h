// A version of a model, loaded: everything that serving it needs.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/ids.h"
#include "core/tensor.h"
#include "engine/engine.h"
#include "model/config.h"

namespace tessera::model {

// Immutable once published; kept alive by whoever still serves or answers a request of it.
struct Instance {
  InstanceId id;
  std::string name;
  std::int64_t version = 0;
  std::string digest;  // of the model's files and engine options; first part of every plan id
  ModelConfig config;  // completed
  ModelSignature signature;
  std::map<std::string, std::vector<std::string>> labels;  // by output name; what the classification extension prints
  std::unique_ptr<engine::LoadedModel> engine_model;       // nullptr: set aside, known but not loaded
  // Published before all its batch sizes and lanes are there: Host::plan_ready names them as they come.
  bool grows = false;
};

// What is known of it, without what runs.
std::shared_ptr<const Instance> without_engine_model(const Instance& instance);

}  // namespace tessera::model
