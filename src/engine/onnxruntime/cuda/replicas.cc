#include "engine/onnxruntime/cuda/replicas.h"

#include <utility>

namespace tessera::engine {

Result<std::shared_ptr<const OptimizedFiles>> ReplicaSet::files(const std::function<Result<OptimizedFiles>()>& make) {
  const std::lock_guard lock(files_mutex_);
  if (files_ == nullptr) {
    auto made = make();
    if (!made) {
      return made.error();
    }
    files_ = std::make_shared<const OptimizedFiles>(std::move(made).value());
  }
  return files_;
}

ReplicaSet::Offer::Offer(std::shared_ptr<ReplicaSet> set, const DeviceWeights& weights)
    : set_(std::move(set)), weights_(weights) {
  const std::lock_guard lock(set_->offers_mutex_);
  set_->offers_.push_back(&weights_);
}

ReplicaSet::Offer::~Offer() {
  const std::lock_guard lock(set_->offers_mutex_);
  set_->offers_.remove(&weights_);
}

Status ReplicaSet::read(const device::Gpu& near, const std::function<Status(const DeviceWeights&)>& read) const {
  const std::shared_lock lock(offers_mutex_);
  Status done = not_found("no other replica has its weights on a card");
  for (const bool on_near : {true, false}) {
    for (const DeviceWeights* weights : offers_) {
      if ((&weights->gpu() == &near) != on_near) {
        continue;
      }
      done = read(*weights);
      if (done.ok()) {
        return done;
      }
    }
  }
  return done;
}

std::shared_ptr<ReplicaSet> Replicas::of(const std::string& digest, const std::string& form,
                                         const std::filesystem::path& cache_dir, const std::string& processor) {
  if (digest.empty()) {
    return std::make_shared<ReplicaSet>(cache_dir, digest, processor);
  }
  const std::lock_guard lock(mutex_);
  std::erase_if(sets_, [](const auto& entry) { return entry.second.expired(); });
  std::weak_ptr<ReplicaSet>& entry = sets_[digest + " " + form];
  std::shared_ptr<ReplicaSet> found = entry.lock();
  if (found == nullptr) {
    found = std::make_shared<ReplicaSet>(cache_dir, digest, processor);
    entry = found;
  }
  return found;
}

}  // namespace tessera::engine
