#include "engine/onnxruntime/cuda/cuda_model.h"

#include <algorithm>
#include <string>
#include <utility>

#include "base/log.h"
#include "engine/onnxruntime/cuda/shaped_model.h"
#include "engine/onnxruntime/cuda/trial_batch.h"

namespace tessera::engine {
namespace {

// Options are taken where they save more than one part of so many.
constexpr int kWorthwhile = 33;

// A row of an input that the batch does not own is copied or read in one part a request.
std::size_t most_moves(const FileSignature& signature, std::int32_t rows) {
  return signature.inputs.size() * (static_cast<std::size_t>(rows) + 1) + signature.outputs.size();
}

Status check_tensor(const std::string& what, const TensorSpec& spec, bool batches) {
  if (spec.dtype == DType::kBytes) {
    return unsupported(what + " '" + spec.name + "' is of BYTES, which the CUDA provider does not compute with");
  }
  for (std::size_t i = batches ? 1 : 0; i < spec.shape.rank(); ++i) {
    if (spec.shape[i] < 0) {
      return unsupported(what + " '" + spec.name + "' has shape " + spec.shape.to_string() +
                         ": on a GPU every dimension but the batch has to be fixed in the model");
    }
  }
  return ok_status();
}

Status check_signature(const FileSignature& signature, bool batches) {
  for (const TensorSpec& input : signature.inputs) {
    TESSERA_RETURN_IF_ERROR(check_tensor("input", input, batches));
  }
  for (const TensorSpec& output : signature.outputs) {
    if (output.dtype == DType::kBytes) {
      return check_tensor("output", output, batches);
    }
  }
  return ok_status();
}

}  // namespace

CudaModel::CudaModel(std::shared_ptr<const ModelOnCard> on_card, std::shared_ptr<Lanes> lanes,
                     const LoadOptions& options, std::int32_t number, const FileSignature& signature)
    : on_card_(std::move(on_card)),
      facts_(on_card_->facts_with(signature)),
      number_(number),
      timed_choices_(options.timed_choices),
      lanes_(std::move(lanes)) {}

Result<std::unique_ptr<LoadedModel>> CudaModel::load(std::shared_ptr<const CudaParts> parts, const LoadOptions& options,
                                                     const FileSignature& signature) {
  std::vector<FileSignature> forms;
  for (const std::vector<Shape>& shapes : options.shapes) {
    FileSignature& form = forms.emplace_back(signature);
    for (std::size_t i = 0; i < shapes.size(); ++i) {
      form.inputs[i].shape = shapes[i];
    }
  }
  if (forms.empty()) {
    forms.push_back(signature);
  }
  for (const FileSignature& form : forms) {
    TESSERA_RETURN_IF_ERROR(check_signature(form, options.max_batch_size > 0));
  }
  TESSERA_ASSIGN_OR_RETURN(std::shared_ptr<const ModelOnCard> on_card,
                           ModelOnCard::load(std::move(parts), options, signature));
  const auto lanes = std::make_shared<Lanes>(on_card->parts(), on_card->budget(),
                                             most_moves(signature, std::max(options.max_batch_size, 1)), options.lanes);
  std::vector<std::unique_ptr<LoadedModel>> models;
  for (const FileSignature& form : forms) {
    const auto number = static_cast<std::int32_t>(models.size());
    models.emplace_back(new CudaModel(on_card, lanes, options, number, form));  // NOLINT: the constructor is private
  }
  if (options.shapes.empty()) {
    return std::move(models.front());
  }
  return std::unique_ptr<LoadedModel>(
      std::make_unique<ShapedModel>(signature, options.max_batch_size > 0, std::move(models)));
}

MemoryUse CudaModel::memory() const { return on_card_->memory(); }

Result<const device::Plan*> CudaModel::prepare_home(std::int32_t bucket, LaneIndex lane, const Slice& slice) {
  TESSERA_RETURN_IF_ERROR(capture(bucket, lane));
  CapturedPlan* plan = captured(bucket, lane);
  TESSERA_RETURN_IF_ERROR(plan->home(slice, parts().device.loader_stream()));
  return static_cast<const device::Plan*>(plan);
}

Result<const device::Plan*> CudaModel::home(std::int32_t bucket, LaneIndex lane, const Slice& slice) {
  CapturedPlan* plan = captured(bucket, lane);
  if (plan == nullptr) {
    return unavailable("bucket " + std::to_string(bucket) + " has not been captured in lane " +
                       std::to_string(lane.value));
  }
  TESSERA_RETURN_IF_ERROR(plan->home(slice, parts().device.homing_stream()));
  return static_cast<const device::Plan*>(plan);
}

void CudaModel::drop_home(std::int32_t bucket, LaneIndex lane, const Slice& slice) {
  if (CapturedPlan* plan = captured(bucket, lane)) {
    plan->drop_home(slice);
  }
}

CapturedPlan* CudaModel::captured(std::int32_t bucket, LaneIndex lane) const {
  const std::lock_guard lock(mutex_);
  const auto found = plans_.find({bucket, lane});
  return found == plans_.end() ? nullptr : found->second.get();
}

// Of this shape: batch sizes lie far below the step.
std::int32_t CudaModel::tuning_key(std::int32_t bucket) const {
  constexpr std::int32_t kStep = 1 << 20;
  return bucket + number_ * kStep;
}

ProviderOptions CudaModel::first_choice(std::int32_t bucket) const {
  ProviderOptions choice = tried_options().front();
  choice.timed_search = timed_choices_;
  return timed_choices_ ? on_card_->tuned().of(tuning_key(bucket)).value_or(choice) : choice;
}

Result<BoundSession*> CudaModel::session_for(std::int32_t bucket) {
  Sessions& sessions = sessions_[bucket];
  if (sessions.current == nullptr) {
    TESSERA_ASSIGN_OR_RETURN(sessions.current, make_counted(bucket, first_choice(bucket)));
  }
  return sessions.current.get();
}

// With its first runs over.
Result<std::unique_ptr<BoundSession>> CudaModel::make_session(std::int32_t bucket, const ProviderOptions& choice) {
  TESSERA_ASSIGN_OR_RETURN(auto made,
                           BoundSession::make(facts_, on_card_->files(), on_card_->weights(), bucket, choice));
  HeapSource& scratch = **parts().scratch;
  TESSERA_ASSIGN_OR_RETURN(const Binding binding, made->bind(scratch));
  Status ran;
  for (int i = 0; i < kFirstRuns && ran.ok(); ++i) {
    ran = made->run(binding, scratch);
  }
  const Status ended = parts().driver().check(parts().driver().stream_synchronize(parts().device.build_stream()),
                                              "run a model for the first time");
  BoundSession::release(binding, scratch);
  if (!ran.ok() || !ended.ok()) {
    return ran.ok() ? ended.error() : ran.error();
  }
  return made;
}

Result<std::unique_ptr<BoundSession>> CudaModel::make_counted(std::int32_t bucket, const ProviderOptions& choice) {
  const std::int64_t before = taken_outside();
  auto made = make_session(bucket, choice);
  costs_.push_back({bucket, choice.name(), facts_.kept->use(), taken_outside() - before});
  return made;
}

// Of the card's memory, by whomever: what this model and the loader's scratch have is not in it.
std::int64_t CudaModel::taken_outside() const {
  std::size_t free = 0;
  std::size_t total = 0;
  if (parts().driver().mem_get_info(&free, &total) != CUDA_SUCCESS) {
    return 0;
  }
  const HeapSource& scratch = **parts().scratch;
  return static_cast<std::int64_t>(total - free) - static_cast<std::int64_t>(on_card_->budget()->taken().value) -
         static_cast<std::int64_t>(scratch.region().mapped().value);
}

Result<Duration> CudaModel::time(BoundSession& session) {
  HeapSource& scratch = **parts().scratch;
  TESSERA_ASSIGN_OR_RETURN(const Binding binding, session.bind(scratch));
  auto took = session.time_captured(binding, scratch);
  BoundSession::release(binding, scratch);
  return took;
}

// What another replica found out after this one's session was made.
Status CudaModel::adopt(std::int32_t bucket, const ProviderOptions& choice) {
  Sessions& sessions = sessions_[bucket];
  if (choice == sessions.current->options()) {
    return ok_status();
  }
  auto other = make_counted(bucket, choice);
  if (!other.ok()) {
    log(LogLevel::kInfo, "options that suit another replica do not suit this one",
        {{"rows", std::int64_t{bucket}}, {"options", choice.name()}, {"reason", other.error().message()}});
    return ok_status();
  }
  sessions.former.push_back(std::exchange(sessions.current, *std::move(other)));
  return ok_status();
}

// Tries the other options, once, and keeps the fastest. One that fails is none.
Status CudaModel::tune(std::int32_t bucket) {
  Sessions& sessions = sessions_[bucket];
  if (std::exchange(sessions.tuned, true) || !timed_choices_) {
    return ok_status();
  }
  if (const auto known = on_card_->tuned().of(tuning_key(bucket))) {
    return adopt(bucket, *known);
  }
  const auto current = time(*sessions.current);
  if (!current.ok()) {
    log(LogLevel::kInfo, "options are not tried: those there are cannot be timed",
        {{"rows", std::int64_t{bucket}}, {"reason", current.error().message()}});
    return ok_status();
  }
  Duration least = *current;
  for (const ProviderOptions& choice : tried_options()) {
    if (choice == sessions.current->options()) {
      continue;
    }
    auto other = make_counted(bucket, choice);
    const auto took = other.ok() ? time(**other) : Result<Duration>(other.error());
    if (!took.ok()) {
      log(LogLevel::kInfo, "options do not suit the model",
          {{"rows", std::int64_t{bucket}}, {"options", choice.name()}, {"reason", took.error().message()}});
      continue;
    }
    const bool faster = *took < least - least / kWorthwhile;
    log(LogLevel::kInfo, "options tried",
        {{"rows", std::int64_t{bucket}},
         {"options", choice.name()},
         {"us", took->count() / 1000},
         {"instead_of", sessions.current->options().name()},
         {"instead_of_us", least.count() / 1000},
         {"kept", faster}});
    if (faster) {
      least = *took;
      sessions.former.push_back(std::exchange(sessions.current, *std::move(other)));
    }
  }
  on_card_->tuned().keep(tuning_key(bucket), sessions.current->options());
  return ok_status();
}

Status CudaModel::build(std::int32_t bucket) {
  TESSERA_RETURN_IF_ERROR(session_for(bucket));
  return tune(bucket);
}

bool CudaModel::outdated(std::int32_t bucket, LaneIndex lane) const {
  const CapturedPlan* const there = captured(bucket, lane);
  const auto found = sessions_.find(bucket);
  return there != nullptr && found != sessions_.end() && &there->session() != found->second.current.get();
}

Status CudaModel::capture(std::int32_t bucket, LaneIndex lane) {
  CapturedPlan* const there = captured(bucket, lane);
  if (there != nullptr && !outdated(bucket, lane)) {
    return ok_status();
  }
  TESSERA_ASSIGN_OR_RETURN(BoundSession * session, session_for(bucket));
  TESSERA_ASSIGN_OR_RETURN(Lane * memory, lanes_->at(lane));
  TESSERA_ASSIGN_OR_RETURN(auto plan, CapturedPlan::capture(facts_, *session, *memory, lanes_->others(lane)));
  TESSERA_RETURN_IF_ERROR(check(*plan, *session));
  if (there != nullptr) {
    Status replaced = there->take_over(*plan, parts().device.loader_stream());
    if (!replaced.ok() && replaced.error().code() == ErrorCode::kUnsupported) {
      log(LogLevel::kInfo, "a plan stays as it is: the faster one does not fit every slice",
          {{"rows", std::int64_t{bucket}}, {"reason", replaced.error().message()}});
      return ok_status();
    }
    return replaced;
  }
  const std::lock_guard lock(mutex_);
  plans_.emplace(std::pair(bucket, lane), std::move(plan));
  return ok_status();
}

// The smallest slice within the loader's that the plan can be homed in.
Result<Slice> CudaModel::smallest_home(CapturedPlan& plan) const {
  const DeviceShape& shape = parts().device.shape();
  Error last = unsupported("the loader's slice is not on the ladder");
  for (const Slice& slice : shape.ladder) {
    if (slice.first < shape.loader.first || slice.end() > shape.loader.end()) {
      continue;
    }
    const Status homed = plan.home(slice, parts().device.loader_stream());
    if (homed.ok()) {
      return slice;
    }
    last = homed.error();
    if (last.code() != ErrorCode::kUnsupported) {
      break;
    }
  }
  return last;
}

// Values that were frozen into the capture because the host computed them show here.
Status CudaModel::check(CapturedPlan& plan, const BoundSession& session) {
  TESSERA_ASSIGN_OR_RETURN(const Slice in, smallest_home(plan));
  for (const std::uint32_t seed : {1U, 2U}) {
    TESSERA_ASSIGN_OR_RETURN(
        TrialBatch trial, TrialBatch::make(parts().device.staging(), facts_.signature, session.rows(), session.bucket(),
                                           facts_.max_batch_size > 0, seed));
    TESSERA_RETURN_IF_ERROR(plan.check_replay(in, trial.batch()));
  }
  return ok_status();
}

}  // namespace tessera::engine
