// A card made of ordinary memory, under the name "cuda", for a build of PyTorch that has none.
//
// Every operation on its tensors is computed by the processor, on the same bytes. What differs from the processor is
// what goes wrong on a card: tensors of two devices do not mix, its memory has an end, and what it holds is counted.

#include <ATen/ATen.h>
#include <ATen/EmptyTensor.h>
#include <ATen/detail/CUDAHooksInterface.h>
#include <ATen/CPUGeneratorImpl.h>
#include <c10/core/CPUAllocator.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>
#include <ATen/core/LegacyTypeDispatch.h>
#include <torch/library.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <deque>
#include <map>
#include <mutex>
#include <set>
#include <string>

namespace {

const c10::Device kCard(c10::kCUDA, 0);
const c10::Device kHost(c10::kCPU);

// ---- memory ---------------------------------------------------------------------------------------------------------

std::atomic<int64_t> used{0}, peak{0}, capacity{int64_t(1) << 62};

struct Block {
  void* bytes;
  int64_t size;
};

int64_t rounded(size_t size) {  // torch's own allocator hands out multiples of 512 bytes
  return int64_t(size + 511) / 512 * 512;
}

void give_back(void* context) {
  auto* block = static_cast<Block*>(context);
  used -= block->size;
  std::free(block->bytes);
  delete block;
}

struct CardAllocator final : c10::Allocator {
  c10::DataPtr allocate(size_t size) override {
    const int64_t whole = rounded(size);
    if (size == 0) return {nullptr, nullptr, &give_nothing_back, kCard};
    if (used + whole > capacity) {
      TORCH_CHECK_WITH(OutOfMemoryError, false, "CUDA out of memory. Tried to allocate ", whole, " bytes; ",
                       int64_t(used), " of ", int64_t(capacity), " are in use.");
    }
    const int64_t now = used += whole;
    for (int64_t before = peak; before < now && !peak.compare_exchange_weak(before, now);) {}
    auto* block = new Block{std::aligned_alloc(512, whole), whole};
    return {block->bytes, block, &give_back, kCard};
  }
  static void give_nothing_back(void*) {}
  void copy_data(void* to, const void* from, std::size_t count) const override { std::memcpy(to, from, count); }
};

CardAllocator allocator;
REGISTER_ALLOCATOR(c10::kCUDA, &allocator);

// ---- copies that are still on their way ------------------------------------------------------------------------------
//
// A copy between the card and pinned memory that is asked for with `non_blocking` is made as late as a card might make
// it: into the card when its target is used there, out of the card when somebody waits for it. Whoever reads the target
// too early finds that the numbers are wrong. As the card's use of a target is late as well, what it came from has to
// stay as it was until somebody has waited: that is looked at then. A copy on another stream does not come by itself:
// the stream that uses its target has to follow an event of it.

struct OnItsWay {
  int64_t number;
  at::Tensor host, to, from;  // `host` is kept so that its memory stays
  bool into_card, is_aside;
};

std::mutex lanes;
std::map<uintptr_t, size_t> pinned;
std::deque<OnItsWay> waiting;
std::vector<OnItsWay> unconfirmed;  // made here, and on a card perhaps not yet; `from` is what was read
int64_t asked_for = 0;
thread_local bool is_aside = false;  // whether this thread asks on another stream than the card's own

bool is_pinned(const void* data) {
  std::lock_guard<std::mutex> guard(lanes);
  auto after = pinned.upper_bound(uintptr_t(data));
  if (after == pinned.begin()) return false;
  --after;
  return uintptr_t(data) < after->first + after->second;
}

// Make those up to a number, or those into a storage of the card. True: no source was written into too early.
bool arrive(int64_t up_to, const void* card_bytes) {
  std::vector<OnItsWay> ready, confirmed;
  {
    std::lock_guard<std::mutex> guard(lanes);
    for (auto at = waiting.begin(); at != waiting.end();) {
      const bool is_used = card_bytes && at->into_card && !at->is_aside && at->to.storage().data() == card_bytes;
      if (at->number <= up_to || is_used) {
        ready.push_back(std::move(*at));
        at = waiting.erase(at);
      } else {
        ++at;
      }
    }
  }
  at::AutoDispatchBelowAutograd guard;
  for (auto& copy : ready) {
    copy.to.copy_(copy.from);
    if (copy.into_card) copy.from = copy.host.clone();
  }
  std::lock_guard<std::mutex> lock(lanes);
  for (auto& copy : ready) {
    if (copy.into_card) unconfirmed.push_back(std::move(copy));
  }
  for (auto at = unconfirmed.begin(); at != unconfirmed.end();) {
    if (at->number > up_to) {
      ++at;
      continue;
    }
    confirmed.push_back(std::move(*at));
    at = unconfirmed.erase(at);
  }
  return std::all_of(confirmed.begin(), confirmed.end(), [](const OnItsWay& copy) {
    return std::memcmp(copy.host.const_data_ptr(), copy.from.const_data_ptr(), copy.from.nbytes()) == 0;
  });
}

void wait_for_all() {
  TORCH_CHECK(arrive(asked_for, nullptr), "pinned memory was written into while the card could still read it");
}

bool is_any_waiting() {
  std::lock_guard<std::mutex> guard(lanes);
  return !waiting.empty();
}

struct PinnedAllocator final : c10::Allocator {
  c10::DataPtr allocate(size_t size) override {
    void* bytes = std::malloc(size ? size : 1);
    std::lock_guard<std::mutex> guard(lanes);
    pinned[uintptr_t(bytes)] = size;
    return {bytes, bytes, &unpin_and_free, kHost};
  }
  static void unpin_and_free(void* bytes) {
    {
      std::lock_guard<std::mutex> guard(lanes);
      pinned.erase(uintptr_t(bytes));
    }
    std::free(bytes);
  }
  void copy_data(void* to, const void* from, std::size_t count) const override { std::memcpy(to, from, count); }
};

PinnedAllocator pinned_allocator;

// ---- device and generator -------------------------------------------------------------------------------------------

struct CardGuard final : c10::impl::DeviceGuardImplInterface {
  c10::DeviceType type() const override { return c10::kCUDA; }
  c10::Device exchangeDevice(c10::Device) const override { return kCard; }
  c10::Device getDevice() const override { return kCard; }
  void setDevice(c10::Device) const override {}
  void uncheckedSetDevice(c10::Device) const noexcept override {}
  c10::Stream getStream(c10::Device) const override { return only_stream(); }
  c10::Stream getDefaultStream(c10::Device) const override { return only_stream(); }
  c10::Stream exchangeStream(c10::Stream) const override { return only_stream(); }
  c10::DeviceIndex deviceCount() const noexcept override { return 1; }
  void record(void**, const c10::Stream&, const c10::DeviceIndex, const c10::EventFlag) const override {}
  void block(void*, const c10::Stream&) const override {}
  bool queryEvent(void*) const override { return true; }
  bool queryStream(const c10::Stream&) const override { return true; }
  void synchronizeStream(const c10::Stream&) const override {}
  void synchronizeEvent(void*) const override {}
  void synchronizeDevice(const c10::DeviceIndex) const override {}
  static c10::Stream only_stream() { return c10::Stream(c10::Stream::DEFAULT, kCard); }
};

C10_REGISTER_GUARD_IMPL(CUDA, CardGuard);

struct CardHooks final : at::CUDAHooksInterface {
  explicit CardHooks(at::CUDAHooksArgs) {}
  void init() const override {}
  bool isAvailable() const override { return true; }
  bool isBuilt() const override { return true; }
  bool hasCUDA() const override { return true; }
  bool hasPrimaryContext(c10::DeviceIndex) const override { return true; }
  c10::DeviceIndex current_device() const override { return 0; }
  c10::DeviceIndex deviceCount() const override { return 1; }
  c10::DeviceIndex getCurrentDevice() const override { return 0; }
  int getNumGPUs() const override { return 1; }
  c10::Allocator* getPinnedMemoryAllocator() const override { return &pinned_allocator; }
  bool isPinnedPtr(const void* data) const override { return is_pinned(data); }
  void deviceSynchronize(c10::DeviceIndex) const override { wait_for_all(); }
  const at::Generator& getDefaultGenerator(c10::DeviceIndex) const override {
    return at::detail::getDefaultCPUGenerator();
  }
  at::Generator getNewGenerator(c10::DeviceIndex) const override { return at::make_generator<at::CPUGeneratorImpl>(); }
};

}  // namespace

namespace at {
using CUDAHooks = ::CardHooks;  // the name that torch asks for
REGISTER_CUDA_HOOKS(CUDAHooks)
}  // namespace at

namespace {

// ---- one memory, seen from both sides -------------------------------------------------------------------------------

void let_go(void* context) {
  delete static_cast<c10::Storage*>(context);
}

// The same bytes, as a tensor of the host: it holds the storage of the card until it goes.
at::Tensor as_host(const at::Tensor& tensor) {
  auto* kept = new c10::Storage(tensor.storage());
  void* bytes = const_cast<void*>(kept->data());
  c10::Storage storage(c10::Storage::use_byte_size_t(), kept->nbytes(), c10::DataPtr(bytes, kept, &let_go, kHost),
                       c10::GetCPUAllocator(), true);
  auto seen = at::detail::make_tensor<c10::TensorImpl>(std::move(storage), c10::DispatchKeySet(c10::DispatchKey::CPU),
                                                       tensor.dtype());
  auto* impl = seen.unsafeGetTensorImpl();
  impl->set_sizes_and_strides(tensor.sizes(), tensor.strides(), tensor.storage_offset());
  if (tensor.is_conj()) impl->_set_conj(true);
  if (tensor.is_neg()) impl->_set_neg(true);
  return seen;
}

at::Tensor card_tensor(c10::Storage storage, const at::Tensor& like) {
  auto made = at::detail::make_tensor<c10::TensorImpl>(std::move(storage), c10::DispatchKeySet(c10::DispatchKey::CUDA),
                                                       like.dtype());
  made.unsafeGetTensorImpl()->set_sizes_and_strides(like.sizes(), like.strides(), like.storage_offset());
  return made;
}

c10::Storage to_card(const c10::Storage& storage) {
  auto bytes = allocator.allocate(storage.nbytes());
  if (storage.nbytes()) std::memcpy(bytes.get(), storage.data(), storage.nbytes());
  return c10::Storage(c10::Storage::use_byte_size_t(), storage.nbytes(), std::move(bytes), &allocator, true);
}

struct Seen {
  at::Tensor card, host;
};

bool is_card(const at::Tensor& tensor) {
  return tensor.defined() && tensor.is_cuda();
}

// ---- every operation ------------------------------------------------------------------------------------------------

// As on a card: a tensor of the host may stand beside tensors of the card where it is one number, or an index.
void check_devices(const c10::OperatorHandle& op, const std::vector<at::Tensor>& hosts) {
  static const std::set<std::string> may_mix{"aten::index.Tensor", "aten::index_put_", "aten::_index_put_impl_",
                                             "aten::index_put", "aten::copy_", "aten::_to_copy"};
  const auto& name = op.schema().name();
  const auto whole = op.schema().overload_name().empty() ? name : name + "." + op.schema().overload_name();
  if (may_mix.count(whole) || may_mix.count(name)) return;
  for (const auto& tensor : hosts) {
    TORCH_CHECK(tensor.dim() == 0, "Expected all tensors to be on the same device, but found at least two devices, "
                "cuda:0 and cpu! (", whole, " got a tensor of the host with sizes ", tensor.sizes(), ")");
  }
}

class Call {
 public:
  Call(const c10::OperatorHandle& op, torch::jit::Stack* stack) : op_(op), stack_(stack) {}

  void run() {
    const auto& schema = op_.schema();
    const size_t count = schema.arguments().size(), begin = stack_->size() - count;
    std::vector<c10::IValue> given(stack_->begin() + begin, stack_->end());
    for (size_t at = 0; at < count; ++at) (*stack_)[begin + at] = to_host(given[at]);
    if (!seen_.empty()) check_devices(op_, hosts_);
    op_.redispatchBoxed(c10::DispatchKeySet(c10::DispatchKey::CPU), stack_);
    for (auto& pair : seen_) keep_up(pair);
    const size_t answers = schema.returns().size(), first = stack_->size() - answers;
    for (size_t at = 0; at < answers; ++at) (*stack_)[first + at] = to_card_value((*stack_)[first + at]);
  }

 private:
  c10::IValue to_host(const c10::IValue& value) {
    if (value.isTensor()) return to_host(value.toTensor());
    if (value.isTensorList()) {
      c10::List<at::Tensor> list;
      for (const at::Tensor& tensor : value.toTensorVector()) list.push_back(to_host(tensor));
      return list;
    }
    if (value.isOptionalTensorList()) {
      c10::List<std::optional<at::Tensor>> list;
      for (const auto& tensor : value.toOptionalTensorVector()) {
        list.push_back(tensor ? std::optional<at::Tensor>(to_host(*tensor)) : std::nullopt);
      }
      return list;
    }
    if (value.isDevice() && value.toDevice().is_cuda()) {
      is_asked_for_ = true;
      return kHost;
    }
    return value;
  }

  at::Tensor to_host(const at::Tensor& tensor) {
    if (!tensor.defined()) return tensor;
    if (!is_card(tensor)) {
      hosts_.push_back(tensor);
      return tensor;
    }
    for (const auto& pair : seen_) {
      if (pair.card.is_same(tensor)) return pair.host;
    }
    if (is_any_waiting()) arrive(-1, tensor.storage().data());
    seen_.push_back({tensor, as_host(tensor)});
    return seen_.back().host;
  }

  // An operation with an `out` may have given it another size, and other memory.
  static void keep_up(Seen& pair) {
    auto* impl = pair.card.unsafeGetTensorImpl();
    const bool has_moved = pair.host.storage().data() != pair.card.storage().data();
    if (has_moved) impl->set_storage_keep_dtype(to_card(pair.host.storage()));
    if (has_moved || pair.host.sizes() != pair.card.sizes() || pair.host.strides() != pair.card.strides()) {
      impl->set_sizes_and_strides(pair.host.sizes(), pair.host.strides(), pair.host.storage_offset());
    }
  }

  c10::IValue to_card_value(const c10::IValue& value) {
    if (seen_.empty() && !is_asked_for_) return value;
    if (value.isTensor()) return to_card_tensor(value.toTensor());
    if (value.isTensorList()) {
      c10::List<at::Tensor> list;
      for (const at::Tensor& tensor : value.toTensorVector()) list.push_back(to_card_tensor(tensor));
      return list;
    }
    return value;
  }

  at::Tensor to_card_tensor(const at::Tensor& tensor) {
    if (!tensor.defined() || is_card(tensor)) return tensor;
    for (const auto& pair : seen_) {
      if (pair.host.is_same(tensor)) return pair.card;
    }
    for (const auto& pair : seen_) {  // a view
      if (pair.host.storage().is_alias_of(tensor.storage())) return card_tensor(pair.card.storage(), tensor);
    }
    for (const auto& host : hosts_) {
      if (host.is_same(tensor)) return tensor;
    }
    return card_tensor(to_card(tensor.storage()), tensor);
  }

  const c10::OperatorHandle& op_;
  torch::jit::Stack* stack_;
  std::vector<Seen> seen_;
  std::vector<at::Tensor> hosts_;
  bool is_asked_for_ = false;
};

void any_operation(const c10::OperatorHandle& op, torch::jit::Stack* stack) {
  Call(op, stack).run();
}

at::Tensor empty(c10::SymIntArrayRef size, std::optional<at::ScalarType> type, std::optional<at::Layout>,
                 std::optional<at::Device>, std::optional<bool>, std::optional<at::MemoryFormat> format) {
  return at::detail::empty_generic(C10_AS_INTARRAYREF_SLOW(size), &allocator,
                                   c10::DispatchKeySet(c10::DispatchKey::CUDA), c10::dtype_or_default(type), format);
}

at::Tensor empty_strided(c10::SymIntArrayRef size, c10::SymIntArrayRef stride, std::optional<at::ScalarType> type,
                         std::optional<at::Layout>, std::optional<at::Device>, std::optional<bool>) {
  return at::detail::empty_strided_generic(C10_AS_INTARRAYREF_SLOW(size), C10_AS_INTARRAYREF_SLOW(stride), &allocator,
                                           c10::DispatchKeySet(c10::DispatchKey::CUDA), c10::dtype_or_default(type));
}

at::Tensor& copy(at::Tensor& self, const at::Tensor& source, bool non_blocking) {
  for (const at::Tensor* tensor : {static_cast<const at::Tensor*>(&self), &source}) {
    if (is_card(*tensor) && is_any_waiting()) arrive(-1, tensor->storage().data());
  }
  auto to = is_card(self) ? as_host(self) : self;
  auto from = is_card(source) ? as_host(source) : source;
  at::AutoDispatchBelowAutograd guard;
  const bool into_card = is_card(self) && !is_card(source), crosses = is_card(self) != is_card(source);
  const auto& host = into_card ? source : self;
  if (crosses && non_blocking && host.numel() && host.is_contiguous() && is_pinned(host.const_data_ptr())) {
    // What leaves the card is what it is now, in the order of the card's work; what comes to it is read when it comes.
    if (!into_card) from = from.clone();
    std::lock_guard<std::mutex> lock(lanes);
    waiting.push_back({++asked_for, host, to, from, into_card, is_aside});
    return self;
  }
  if (crosses && !into_card) wait_for_all();
  to.copy_(from);
  return self;
}

at::Tensor& set_storage(at::Tensor& self, at::Storage source, c10::SymInt offset, c10::SymIntArrayRef size,
                        c10::SymIntArrayRef stride) {
  auto* impl = self.unsafeGetTensorImpl();
  TORCH_CHECK(source.device().is_cuda(), "set_: a storage of the host for a tensor of the card");
  impl->set_storage_keep_dtype(std::move(source));
  const auto sizes = C10_AS_INTARRAYREF_SLOW(size);
  if (stride.empty() && !size.empty()) {
    impl->set_storage_offset(offset.expect_int());
    impl->set_sizes_contiguous(sizes);
  } else {
    impl->set_sizes_and_strides(sizes, C10_AS_INTARRAYREF_SLOW(stride), offset.expect_int());
  }
  return self;
}

at::Tensor& set_whole_storage(at::Tensor& self, at::Storage source) {
  const auto count = int64_t(source.nbytes() / self.dtype().itemsize());
  return set_storage(self, std::move(source), 0, c10::SymInt(count), {});
}

at::Tensor& set_tensor(at::Tensor& self, const at::Tensor& source) {
  TORCH_CHECK(is_card(source), "set_: a tensor of the host for a tensor of the card");
  auto* impl = self.unsafeGetTensorImpl();
  impl->set_storage_keep_dtype(source.storage());
  impl->set_sizes_and_strides(source.sizes(), source.strides(), source.storage_offset());
  return self;
}

at::Scalar number_of(const at::Tensor& self) {
  wait_for_all();
  return at::_local_scalar_dense(as_host(self));
}

// A card counts integers; the processor's kernel does not.
at::Tensor count(const at::Tensor& self, int64_t bins, const at::Scalar& least, const at::Scalar& most) {
  return at::histc(as_host(self).to(at::kFloat), bins, least, most).to(kCard, self.scalar_type());
}

void record_stream(at::Tensor&, at::Stream) {}

}  // namespace

TORCH_LIBRARY_IMPL(_, CUDA, m) {
  m.fallback(torch::CppFunction::makeFromBoxedFunction<&any_operation>());
}

TORCH_LIBRARY_IMPL(aten, CUDA, m) {
  m.impl("empty.memory_format", empty);
  m.impl("empty_strided", empty_strided);
  m.impl("copy_", copy);
  m.impl("set_.source_Storage_storage_offset", set_storage);
  m.impl("set_.source_Storage", set_whole_storage);
  m.impl("set_.source_Tensor", set_tensor);
  m.impl("record_stream", record_stream);
  m.impl("histc", count);
  m.impl("_local_scalar_dense", number_of);
  // Where the processor has a kernel a card has one too: without this torch would make the operation of smaller ones.
  static const std::set<std::string> own{"empty.memory_format", "empty_strided", "copy_", "record_stream", "histc", "_local_scalar_dense",
                                         "set_.source_Storage_storage_offset", "set_.source_Storage",
                                         "set_.source_Tensor"};
  auto& dispatcher = c10::Dispatcher::singleton();
  for (const auto& name : dispatcher.getAllOpNames()) {
    if (name.name.rfind("aten::", 0) != 0) continue;
    const auto op = dispatcher.findSchema(name);
    const auto known = name.name.substr(6) + (name.overload_name.empty() ? "" : "." + name.overload_name);
    if (!op || own.count(known) || !op->hasKernelForDispatchKey(c10::DispatchKey::CPU)) continue;
    m.impl(known.c_str(), torch::CppFunction::makeFromBoxedFunction<&any_operation>());
  }
}

extern "C" {
int64_t card_used() { return used; }
int64_t card_peak() { return peak; }
void card_set_capacity(int64_t bytes) { capacity = bytes; }
void card_forget_peak() { peak = int64_t(used); }
int64_t card_moment() { return asked_for; }
int card_wait(int64_t moment) { return arrive(moment, nullptr); }
void card_step_aside(int yes) { is_aside = yes; }
void card_follow(int64_t moment) {
  std::lock_guard<std::mutex> guard(lanes);
  for (auto& copy : waiting) copy.is_aside &= copy.number > moment;
}
int card_pin(uintptr_t bytes, size_t size) {  // an error where a part is pinned already, as of the driver
  if (is_pinned(reinterpret_cast<void*>(bytes)) || is_pinned(reinterpret_cast<void*>(bytes + size - 1))) return 712;
  std::lock_guard<std::mutex> guard(lanes);
  pinned[bytes] = size;
  return 0;
}
int card_unpin(uintptr_t bytes) {
  std::lock_guard<std::mutex> guard(lanes);
  return pinned.erase(bytes) ? 0 : 713;
}
}
