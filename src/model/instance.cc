#include "model/instance.h"

namespace tessera::model {

std::shared_ptr<const Instance> without_engine_model(const Instance& instance) {
  auto known = std::make_shared<Instance>();
  known->id = instance.id;
  known->name = instance.name;
  known->version = instance.version;
  known->digest = instance.digest;
  known->config = instance.config;
  known->signature = instance.signature;
  known->labels = instance.labels;
  known->grows = instance.grows;
  return known;
}

}  // namespace tessera::model
