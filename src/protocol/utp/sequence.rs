//! Sequence numbers, which wrap around after 65,535.

/// How far `number` is ahead of `base`: negative when behind, from -32,768 to
/// 32,767.
pub(super) const fn ahead(number: u16, base: u16) -> i32 {
    number.wrapping_sub(base).cast_signed() as i32
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn wraps_around() {
        assert_eq!(ahead(3, 1), 2);
        assert_eq!(ahead(1, 3), -2);
        assert_eq!(ahead(1, u16::MAX), 2);
        assert_eq!(ahead(u16::MAX, 1), -2);
    }

    proptest! {
        #[test]
        fn steps_are_found_again(base: u16, step in -32_768_i32..=32_767) {
            let number = base.wrapping_add(u16::try_from(step & 0xffff).unwrap());
            prop_assert_eq!(ahead(number, base), step);
        }
    }
}
