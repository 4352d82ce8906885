// What the replicas of a model in one process, on any of its gpus, take from each other: a replica has nothing to
// optimise and no options to try, and its weights come over the link between the cards.
#pragma once

#include <functional>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <string>

#include "base/result.h"
#include "engine/onnxruntime/cuda/device_weights.h"
#include "engine/onnxruntime/cuda/tuned_options.h"
#include "engine/onnxruntime/optimized_files.h"

namespace tessera::engine {

// Of one model in one optimised form, which is one kind of gpu's. Thread-safe.
class ReplicaSet {
 public:
  // As TunedOptions.
  ReplicaSet(const std::filesystem::path& cache_dir, const std::string& digest, const std::string& processor)
      : tuned_(cache_dir, digest, processor) {}

  // The first who asks makes them, and others wait meanwhile: it is the longest part of a load. What failed is made
  // anew for the next who asks.
  Result<std::shared_ptr<const OptimizedFiles>> files(const std::function<Result<OptimizedFiles>()>& make);

  TunedOptions& tuned() { return tuned_; }

  // While it lives others may read these weights; its end waits for who does.
  class Offer {
   public:
    Offer(std::shared_ptr<ReplicaSet> set, const DeviceWeights& weights);
    ~Offer();
    Offer(const Offer&) = delete;
    Offer& operator=(const Offer&) = delete;

   private:
    const std::shared_ptr<ReplicaSet> set_;
    const DeviceWeights& weights_;
  };

  // Has `read` try one replica's weights after the other, those on `near` first, until it succeeds. Error: that of the
  // last one tried; kNotFound where there is none.
  Status read(const device::Gpu& near, const std::function<Status(const DeviceWeights&)>& read) const;

 private:
  std::mutex files_mutex_;
  std::shared_ptr<const OptimizedFiles> files_;
  TunedOptions tuned_;
  mutable std::shared_mutex offers_mutex_;  // guards offers_; shared by who reads weights
  std::list<const DeviceWeights*> offers_;
};

// One for all engines of a process. Thread-safe.
class Replicas {
 public:
  // The set of that model in the form `form`; lives as long as somebody holds it. Without a digest nobody knows what is
  // the same model, so each gets a set of its own.
  std::shared_ptr<ReplicaSet> of(const std::string& digest, const std::string& form,
                                 const std::filesystem::path& cache_dir, const std::string& processor);

 private:
  std::mutex mutex_;
  std::map<std::string, std::weak_ptr<ReplicaSet>> sets_;
};

}  // namespace tessera::engine
