//go:build !purego

#include "go_asm.h"
#include "textflag.h"

// A block is in V0 to V3. A set of its bytes has bit i for byte i.

// GATHER sets out to those bytes of the block for which V4 to V7 are all ones.
// V22 has in each byte the bit that it has in its eight.
#define GATHER(out) \
	VAND  V22.B16, V4.B16, V4.B16 \
	VAND  V22.B16, V5.B16, V5.B16 \
	VAND  V22.B16, V6.B16, V6.B16 \
	VAND  V22.B16, V7.B16, V7.B16 \
	VADDP V5.B16, V4.B16, V4.B16  \
	VADDP V7.B16, V6.B16, V6.B16  \
	VADDP V6.B16, V4.B16, V4.B16  \
	VADDP V4.B16, V4.B16, V4.B16  \
	VMOV  V4.D[0], out

// SET sets out to the bytes of v0 to v3 that are those of c.
#define SET(v0, v1, v2, v3, c, out) \
	VCMEQ v0.B16, c.B16, V4.B16 \
	VCMEQ v1.B16, c.B16, V5.B16 \
	VCMEQ v2.B16, c.B16, V6.B16 \
	VCMEQ v3.B16, c.B16, V7.B16 \
	GATHER(out)

// ESCAPED sets counts to the backslashes that count, and follows to the bytes
// that follow one. carry is 1 if the block's first byte does, and becomes 1 if
// the next block's does.
//
// A run of backslashes begins at an even or at an odd byte. The subtraction
// borrows along each run, from the byte behind its first, and leaves every
// other bit of it turned. As simdjson.
#define ESCAPED(backslash, carry, counts, follows) \
	BIC carry, backslash, follows           \ // the first byte is none if it is escaped
	LSL $1, follows, counts                 \
	ORR $0xaaaaaaaaaaaaaaaa, counts, counts \
	SUB follows, counts, counts             \
	EOR $0xaaaaaaaaaaaaaaaa, counts, counts \ // the backslashes that count, and what the runs' last ones escape
	ORR carry, backslash, follows           \
	EOR counts, follows, follows            \
	AND backslash, counts, counts           \
	LSR $63, counts, carry

// SUMS makes each bit of x the sum, modulo 2, of those up to it.
#define SUMS(x) \
	EOR x<<1, x, x  \
	EOR x<<2, x, x  \
	EOR x<<4, x, x  \
	EOR x<<8, x, x  \
	EOR x<<16, x, x \
	EOR x<<32, x, x

// TURNS goes to uneven unless the brackets (R11) open (R9) and close (R10) by
// turns, from a lower depth (R3) to one more and back, beginning in a bracket if
// R19 is all ones, which becomes whether the block ends in one. Then what is in
// them (R12) is their difference, since each that opens borrows up to the one
// that closes; and then, and only then, those that open are in it, and those
// that close are not.
#define TURNS(uneven) \
	ADD R19, R10, R12 \
	SUB R9, R12, R12  \
	AND R12, R11, R14 \
	CMP R9, R14       \
	BNE uneven        \
	ASR $63, R12, R19

// COMMAS counts those outside strings (R8) and brackets (R12).
#define COMMAS \
	SET(V0, V1, V2, V3, V21, R14) \
	ORR     R12, R8, R8  \
	BIC     R8, R14, R14 \
	VMOV    R14, V4.D[0] \
	VCNT    V4.B8, V4.B8 \
	VUADDLV V4.B8, V4    \
	VMOV    V4.H[0], R14 \
	ADD     R14, R6, R6

// COUNTING sets R7 to whether commas outside brackets count: at depth 1.
#define COUNTING \
	CMP  $1, R3           \
	CSEL EQ, R20, ZR, R7

// func passVector(k *skipper, p []byte, as spelling) (n int, s sets)
//
//	R0 k, R1 the block, R2 bytes left
//	R3 the lower depth, R19 all ones one above it, R7 its commas count
//	R4 all ones in a string, R5 escaped, R6 commas, R15 as, R20 counting
TEXT ·passVector(SB), NOSPLIT, $0-72
	MOVD k+0(FP), R0
	MOVD p_base+8(FP), R1
	MOVD p_len+16(FP), R2

	VMOVI $34, V16.B16  // "
	VMOVI $92, V17.B16  // \
	VMOVI $123, V18.B16 // {
	VMOVI $125, V19.B16 // }
	VMOVI $0x20, V20.B16
	VMOVI $44, V21.B16  // ,
	MOVD  $0x8040201008040201, R8
	VDUP  R8, V22.D2

	MOVBU as+32(FP), R15
	VDUP  R15, V23.B16

	MOVD  skipper_depth(R0), R3
	MOVBU skipper_inString(R0), R4
	NEG   R4, R4
	MOVBU skipper_escaped(R0), R5
	MOVD  skipper_commas(R0), R6
	MOVBU skipper_counting(R0), R20
	CMP   $1, R3
	CSETM GT, R19 // above depth 1, likely what is open closes next
	ADD   R19, R3, R3
	COUNTING

next:
	CMP  $64, R2
	BLT  end
	VLD1 (R1), [V0.B16, V1.B16, V2.B16, V3.B16]

	SET(V0, V1, V2, V3, V16, R8)
	SET(V0, V1, V2, V3, V17, R9)
	CBNZ R15, text
	ORR  R5, R9, R10
	CBZ  R10, unescaped
	ESCAPED(R9, R5, R10, R11)
	BIC  R11, R8, R8

unescaped:
	// In a string (R8) is what has an odd number of quotes up to it.
	SUMS(R8)
	EOR R4, R8, R8
	ASR $63, R8, R4

	// [ and ] are { and } without 0x20. R9 opens, R10 closes, outside strings.
	VORR V20.B16, V0.B16, V12.B16
	VORR V20.B16, V1.B16, V13.B16
	VORR V20.B16, V2.B16, V14.B16
	VORR V20.B16, V3.B16, V15.B16
	SET(V12, V13, V14, V15, V18, R9)
	BIC  R8, R9, R9
	SET(V12, V13, V14, V15, V19, R10)
	BIC  R8, R10, R10

	ORR R9, R10, R11
	TURNS(uneven)
	CBZ R7, passed
	COMMAS

passed:
	ADD $64, R1
	SUB $64, R2
	B   next

text:
	// The usual: a backslash before each quote, and nowhere else.
	ORR R9<<1, R5, R10
	CMP R8, R10
	BEQ quoted

	// R8 quotes, R9 inner backslashes, R10 backslashes before these; R11 becomes
	// what else is escaped, which is to be the letter that as is.
	MOVD R5, R16
	ESCAPED(R9, R5, R10, R11)
	BIC  R11, R8, R12
	CBNZ R12, special // the end
	AND  R11, R9, R9
	BIC  R8, R11, R11
	BIC  R9, R11, R11
	CBZ  R11, inner
	SET(V0, V1, V2, V3, V23, R12)
	BIC  R12, R11, R11
	CBNZ R11, special

inner:
	// Behind an inner backslash is the byte that it escapes, or the backslash
	// before that; not in the next block, and no inner backslash.
	TBNZ $63, R9, special
	LSL  $1, R9, R11
	AND  R10, R11, R12
	EOR  R12, R11, R11
	TBNZ $63, R12, special
	ORR  R12<<1, R11, R11
	TST  R9, R11
	BNE  special
	BIC  R11, R8, R8
	B    unescaped

quoted:
	LSR $63, R9, R5
	B   unescaped

special:
	MOVD R16, R5
	MOVD ZR, s_bracket+48(FP)
	B    end

uneven:
	// Could all that close bring the depth to 0, or to 1 where the commas
	// count? If not, the numbers are enough.
	VMOV  R9, V4.D[0]
	VMOV  R10, V4.D[1]
	VCNT  V4.B16, V4.B16
	VADDP V4.B16, V4.B16, V4.B16
	VADDP V4.B16, V4.B16, V4.B16
	VADDP V4.B16, V4.B16, V4.B16
	VMOV  V4.B[0], R12
	VMOV  V4.B[1], R13
	SUB   R19, R3, R14
	SUB   R13, R14, R13
	CMP   R20, R13
	BLE   turned
	ADD   R12, R13, R3
	CMP   R9, R10
	CSETM LO, R19 // the last one opens
	ADD   R19, R3, R3
	COUNTING
	B     passed

turned:
	// Alternately, but in the other two depths that the one before the block may be
	// one of?
	SUB R19, R3, R3
	MVN R19, R19
	ADD R19, R3, R3
	CMP $0, R3
	BLE stop // closed
	TURNS(stop)
	COUNTING
	CBZ R7, passed
	COMMAS
	B   passed

stop:
	MOVD R11, s_bracket+48(FP)
	MOVD R9, s_open+56(FP)
	SET(V0, V1, V2, V3, V21, R14)
	BIC  R8, R14, R14
	NEG  R20, R7
	AND  R7, R14, R14 // none if they are not counted
	MOVD R14, s_comma+64(FP)

end:
	SUB  R19, R3, R3
	MOVD R3, skipper_depth(R0)
	NEG  R4, R4
	MOVB R4, skipper_inString(R0)
	MOVB R5, skipper_escaped(R0)
	MOVD R6, skipper_commas(R0)
	MOVD p_base+8(FP), R0
	SUB  R0, R1, R1
	MOVD R1, n+40(FP)
	RET

// func quoteVector(p []byte, before bool) (n int, escaped, found bool)
//
//	R1 the block, R2 bytes left, R5 escaped
TEXT ·quoteVector(SB), NOSPLIT, $0-42
	MOVD  p_base+0(FP), R1
	MOVD  p_len+8(FP), R2
	MOVBU before+24(FP), R5
	VMOVI $34, V16.B16 // "
	VMOVI $92, V17.B16 // \
	MOVD  $0x8040201008040201, R8
	VDUP  R8, V22.D2
	MOVD  ZR, R6 // found

next:
	CMP  $64, R2
	BLT  end
	VLD1 (R1), [V0.B16, V1.B16, V2.B16, V3.B16]
	SET(V0, V1, V2, V3, V16, R8)

	// A block without a quote matters for no more than how it ends.
	CBNZ  R8, quotes
	MOVBU 63(R1), R9
	CMP   $92, R9
	BEQ   quotes
	MOVD  ZR, R5
	ADD   $64, R1
	SUB   $64, R2
	B     next

quotes:
	SET(V0, V1, V2, V3, V17, R9)
	ORR  R5, R9, R10
	CBZ  R10, unescaped
	ESCAPED(R9, R5, R10, R11)
	BIC  R11, R8, R8

unescaped:
	CBNZ R8, found
	ADD  $64, R1
	SUB  $64, R2
	B    next

found:
	RBIT R8, R8
	CLZ  R8, R8
	ADD  R8, R1, R1
	MOVD ZR, R5 // whatever comes behind the quote
	MOVD $1, R6

end:
	MOVD p_base+0(FP), R0
	SUB  R0, R1, R1
	MOVD R1, n+32(FP)
	MOVB R5, escaped+40(FP)
	MOVB R6, found+41(FP)
	RET

// Of an escape's letter, bits 1 to 4 tell b, f, n, r and t apart: which of them
// would have the bits, and what it stands for.
DATA letters<>+0(SB)/8, $0x6e000000660062ff // b at 1, f at 3, n at 7; and not NUL at 0
DATA letters<>+8(SB)/8, $0x0000000000747200 // r at 9, t at 10
GLOBL letters<>(SB), RODATA|NOPTR, $16
DATA meanings<>+0(SB)/8, $0x0a0000000c000800
DATA meanings<>+8(SB)/8, $0x0000000000090d00
GLOBL meanings<>(SB), RODATA|NOPTR, $16

// LETTERS replaces those bytes of v that are in the set in V23, and are b, f, n,
// r or t, by what these stand for; is becomes all ones where v has one of them.
// where tells in which byte of V23 is the bit of each byte of v.
#define LETTERS(v, where, is) \
	VUSHR  $1, v.B16, V28.B16          \
	VAND   V20.B16, V28.B16, V28.B16   \
	VTBL   V28.B16, [V18.B16], V29.B16 \
	VCMEQ  V29.B16, v.B16, is.B16      \
	VTBL   V28.B16, [V19.B16], V28.B16 \
	VTBL   where.B16, [V23.B16], V29.B16 \
	VCMTST V22.B16, V29.B16, V29.B16   \
	VAND   is.B16, V29.B16, V29.B16    \
	VBIT   V29.B16, V28.B16, v.B16

// KEEP stores the i-th 8 bytes of the block (R6) but for those whose bits are
// set in the low byte of R12, whose number is in the low byte of R13.
#define KEEP(i) \
	AND   $0xff, R12, R14           \
	LSR   $8, R12, R12              \
	FMOVD (R4)(R14<<3), F29         \
	FMOVD (8*i)(R6), F28            \
	VTBL  V29.B8, [V28.B16], V28.B8 \
	FMOVD F28, (8*i)(R0)            \
	SUB   R13.UXTB, R0, R0          \
	LSR   $8, R13, R13

// func unescapeVector(out, p []byte, keeping *[256][8]byte) (written, n int)
//
//	R0 where to write, R3 up to where a block can begin, R4 keeping
//	R1 the block, R2 up to where one can begin, R5 the first byte is escaped
TEXT ·unescapeVector(SB), NOSPLIT, $64-72
	MOVD out_base+0(FP), R0
	MOVD out_len+8(FP), R3
	ADD  R0, R3, R3
	SUB  $64, R3, R3
	MOVD p_base+24(FP), R1
	MOVD p_len+32(FP), R2
	ADD  R1, R2, R2
	SUB  $64, R2, R2
	MOVD keeping+48(FP), R4
	MOVD ZR, R5

	VMOVI $34, V16.B16 // "
	VMOVI $92, V17.B16 // \
	MOVD  $letters<>(SB), R8
	VLD1  (R8), [V18.B16]
	MOVD  $meanings<>(SB), R8
	VLD1  (R8), [V19.B16]
	VMOVI $0x0f, V20.B16
	VMOVI $47, V21.B16 // /
	MOVD  $0x8040201008040201, R8
	VDUP  R8, V22.D2

	// V24: 0 eight times, 1 eight times; V25 to V27 so on.
	MOVD  $0x0101010101010101, R8
	VEOR  V24.B16, V24.B16, V24.B16
	VMOV  R8, V24.D[1]
	VMOVI $2, V28.B16
	VADD  V28.B16, V24.B16, V25.B16
	VADD  V28.B16, V25.B16, V26.B16
	VADD  V28.B16, V26.B16, V27.B16

next:
	CMP  R2, R1
	BHI  end
	CMP  R3, R0
	BHI  end
	VLD1 (R1), [V0.B16, V1.B16, V2.B16, V3.B16]
	SET(V0, V1, V2, V3, V16, R8)
	SET(V0, V1, V2, V3, V17, R9)
	ORR  R5, R9, R10
	CBNZ R10, escapes

	VST1 [V0.B16, V1.B16, V2.B16, V3.B16], (R0)
	CBNZ R8, quote
	ADD  $64, R1
	ADD  $64, R0
	B    next

quote:
	RBIT R8, R8
	CLZ  R8, R8
	ADD  R8, R1
	ADD  R8, R0
	B    done

escapes:
	ESCAPED(R9, R5, R12, R11)
	MOVD R12, R10 // the backslashes that count
	// R8 becomes where to stop, R9 what is escaped and neither quote nor
	// backslash.
	ORR R8, R9, R9
	BIC R9, R11, R9
	BIC R11, R8, R8
	MOVD R1, R6
	CBZ R9, keep

	VMOV R9, V23.D[0]
	LETTERS(V0, V24, V4)
	LETTERS(V1, V25, V5)
	LETTERS(V2, V26, V6)
	LETTERS(V3, V27, V7)
	GATHER(R14)
	BIC  R14, R9, R9
	MOVD $mapped-64(SP), R6
	VST1 [V0.B16, V1.B16, V2.B16, V3.B16], (R6)
	CBZ  R9, keep
	SET(V0, V1, V2, V3, V21, R14)
	BIC  R14, R9, R9

keep:
	MOVD R0, R7
	VMOV R12, V4.D[0]
	VCNT V4.B8, V4.B8
	VMOV V4.D[0], R13
	KEEP(0)
	KEEP(1)
	KEEP(2)
	KEEP(3)
	KEEP(4)
	KEEP(5)
	KEEP(6)
	KEEP(7)
	ORR  R9, R8, R8
	CBNZ R8, stop
	ADD  $64, R1
	ADD  $64, R0
	B    next

stop:
	// Of the block, only what is before R8's first bit, and before the
	// backslash in front of it if that is what it escapes.
	MOVD    R7, R0
	RBIT    R8, R11
	CLZ     R11, R11
	LSR     R11, R9, R9
	AND     $1, R9, R9
	SUB     R9, R11, R11
	ADD     R11, R1, R1
	TBNZ    $63, R11, done // the backslash was in the block before
	MOVD    $1, R9
	LSL     R11, R9, R9
	SUB     $1, R9, R9
	BIC     R10, R9, R9
	VMOV    R9, V4.D[0]
	VCNT    V4.B8, V4.B8
	VUADDLV V4.B8, V4
	VMOV    V4.H[0], R9
	ADD     R9, R0, R0
	B       done

end:
	SUB R5, R1, R1 // a backslash whose letter has not come

done:
	MOVD out_base+0(FP), R8
	SUB  R8, R0, R0
	MOVD R0, written+56(FP)
	MOVD p_base+24(FP), R8
	SUB  R8, R1, R1
	MOVD R1, n+64(FP)
	RET
